package membership

// Limits of a machine's table and lists.
const (
	// MaxDead is how many dead members are kept to be contacted again; past
	// it the longest dead is forgotten.
	MaxDead = 1024
	// MaxLeft is how many members that left are remembered.
	MaxLeft = 1024
	// MaxJoinAddrs is how many unanswered join addresses are kept.
	MaxJoinAddrs = 1024
)
