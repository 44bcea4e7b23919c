package causal

// bug is a way to break the rule. The exhaustive test must find what each of them
// leads to; a build with the tag plantedbug can switch one on, any other build
// drops the branches.
type bug uint8

// The first group are rules that other systems use, or that were tried for this
// one: docs/deletes.md tells their histories. The others are slips.
const (
	none bug = iota

	lastWriterWins     // 1: a missing entry is always fetched; tombstones go at any time
	discardOnReturn    // 1: a member that was given up drops what it alone holds when it returns
	nothingHidden      // 2: there is no Hidden
	noPrev             // 3: a push vouches for everything that its issuer wrote before
	equalRootsAreSeen  // 4: equal live entries allow purging
	pushOverHidden     // 5: a push does not wait for what its issuer had hidden
	retiresTooEarly    // 6: a departed instance is forgotten while its writes may return
	sessionUnseen      // 7: a session deletes at a node that has not seen what it put elsewhere
	vectorAfterListing // 8: the vector is newer than the list it goes with
	vectorOfTheEnd     // 8: a round's end gives the vector instead of its start
	acceptsBrokenRound // 8: a round that breaks off counts as a whole one
	mergedIsSeen       // 8: an entry that a round brought is noted as seen by itself
	listHidesYounger   // 9: a list leaves out what is younger than the round

	retiresWithoutOne
	retiresDuringRound
	takesFromTheGone
	forgetsTooEarly
	unknownIsSeen

	pushOverUnseen
	retiresUnlike
	unseenIsSeen
	loserNotHidden
	mergeLoserNotHidden
	purgedNotHidden
	purgesAlone
	purgesUnseenDeparted
	reportsDuringRound
	acceptUnequal
	acceptWithoutWatch
	acceptWithoutDead
	dropsBeforeItCame
	acceptWithoutHidden
	aheadAsBase
	probeWithoutLast
	wantsSeen
	dropsUnseen
	lastArrivalWins
	writesBeforeItsRound
	reusesInstance // the last: the test counts up to it
)
