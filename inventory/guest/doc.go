// Package guest serves installed systems, metal and VM alike: their metadata (NoCloud
// and EC2 style) and their phone-home. Who asks by source address alone gets nothing
// secret; user data needs the signed token that is in the machine's seed.
package guest
