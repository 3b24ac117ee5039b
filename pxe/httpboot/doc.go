// Package httpboot is the HTTP listener that machines talk to: boot files with ranges
// and zero-copy, and whatever others mount (scripts, metadata, the agent's API).
//
// What it takes care of for all of them: "//" in a path is one slash (shim asks for
// such paths) without a redirect that firmware would not follow; ".." is refused; slow
// clients are dropped by header, read, write and idle limits, none of which bounds a
// download or a long poll as a whole; connections are bounded, in all and for one
// client; a stop lets transfers finish for a while.
//
// Files go out by sendfile(2). That needs a *net.TCPConn under the response and a file
// with a descriptor above it, through every layer between: the response wrapper here
// passes io.ReaderFrom on, and connections are counted without being wrapped. Losing it
// costs twice the CPU for each byte. A connection is corked while a file goes out: that
// halves the segments.
//
// Decision, 2026-11-29: a client within 250 us gets a send buffer of 500 kB while the kernel
// would let it grow to 4 MiB. To one that drops what it gets, on the same host, that is three
// times the bytes a second at a quarter of the CPU; to one that copies it (curl), the same.
package httpboot
