// Package api is the wire form of Ingot's API, version 1, and its Go client. The
// documents are the inventory's own types in JSON; what is only of the wire is here.
// Errors are RFC 9457 problem documents.
package api
