package engine

import "fmt"

// Condition is what a local write may demand of what its key holds; the zero value
// demands nothing. It is judged under the lock under which the write is stored, so
// that of two writes to one engine which demand the same only one is done. It says
// nothing about other nodes: what they have written and this one has not merged
// yet is not known to it, and the merge rule may drop the write in its favour.
//
// A key that was deleted, or has expired, is absent like one that never was.
type Condition struct {
	Absent  bool    // the key is absent
	Version Version // the key is there, and this is its entry's version; zero: not demanded
}

// ConditionError says that a condition does not hold. It matches
// ErrConditionFailed.
type ConditionError struct {
	Want    Condition
	Current *Entry // what the key holds, a copy; nil: it is absent
}

func (e *ConditionError) Error() string {
	switch {
	case e.Current == nil:
		return fmt.Sprintf("the key is absent, version %x is demanded: %v", e.Want.Version.Bytes(), ErrConditionFailed)
	case e.Want.Absent:
		return fmt.Sprintf("the key is there at version %x: %v", e.Current.Version.Bytes(), ErrConditionFailed)
	}
	return fmt.Sprintf("the key is at version %x, %x is demanded: %v", e.Current.Version.Bytes(), e.Want.Version.Bytes(), ErrConditionFailed)
}

// Unwrap gives ErrConditionFailed.
func (e *ConditionError) Unwrap() error { return ErrConditionFailed }

// demand judges a condition at now. The shard's w must be held.
func (p *place) demand(now int64, key string, c Condition) error {
	live := p.old.liveAt(now)
	switch {
	case !c.Absent && c.Version.IsZero():
		return nil
	case c.Absent && !c.Version.IsZero():
		return fmt.Errorf("absence and a version are demanded, only one may be: %w", ErrInvalidCondition)
	case c.Absent && !live:
		return nil
	case !live:
		return &ConditionError{Want: c}
	case !c.Absent && p.old.version() == c.Version:
		return nil
	}
	held := p.old.entry()
	held.Key, held.Value = key, cloneValue(held.Value)
	return &ConditionError{Want: c, Current: &held}
}
