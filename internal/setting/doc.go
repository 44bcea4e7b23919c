// Package setting is the form of a configuration table: a [Setting] is one row,
// from which a flag, an environment variable, a YAML key and a line of the
// reference come, and a [Value] is the field behind it, read and written as
// text. The root package's table and gokv-node's are made of it.
//
// Which settings there are is not its affair, nor is where their text comes
// from. A Value is used by one goroutine, at the start of a program.
package setting
