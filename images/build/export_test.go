package build

// FieldsOf is for the test that compares the schema with the Go types.
var FieldsOf = fieldsOf
