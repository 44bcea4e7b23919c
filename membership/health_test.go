package membership

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// probing returns a machine among n others whose first probe is under way,
// with others asked to help, and that probe.
func probing(t *testing.T, n int, change func(*Config)) (*Machine, *Effects, *probe) {
	m, out := among(t, n, change)
	m.Tick(m.prober.nextProbe, out)
	p := m.prober.inTurn()
	require.NotNil(t, p)
	for !p.indirect.IsZero() {
		m.Tick(m.NextDeadline(), out)
	}
	return m, out, p
}

// asked returns whom the machine asked for help.
func asked(m *Machine, out *Effects) (helpers []*row) {
	for _, p := range out.Packets {
		if _, ok := p.Msg.(*PingReq); ok {
			helpers = append(helpers, m.rowAt(p.To))
		}
	}
	return helpers
}

// Lifeguard, Local Health Aware Probe: silence of the target and of all who
// were asked is a sign that the fault is here.
func TestAProbeThatNobodyAnswersLowersTheOwnHealth(t *testing.T) {
	m, out, p := probing(t, 9, nil)
	require.Len(t, asked(m, out), 3)
	m.Tick(p.deadline, out)
	require.Equal(t, 1, m.Health())
	require.Equal(t, Suspect, p.target.State)
}

func TestNacksSayThatTheFaultIsNotHere(t *testing.T) {
	for nacks, want := range []int{1, 1, 0, 0} { // of three that were asked
		m, out, p := probing(t, 9, nil)
		for _, r := range asked(m, out)[:nacks] {
			m.Step(p.began, r.PeerAddr, &Nack{Seq: p.seq, From: r.Instance}, out)
		}
		m.heard = time.Time{} // it is the nacks that count here
		m.Tick(p.deadline, out)
		require.Equal(t, want, m.Health(), "%d nacks", nacks)
		require.Equal(t, Suspect, p.target.State)
	}
}

// When many have crashed at once their helpers are silent too; whoever hears
// others meanwhile is well.
func TestWhoHearsOthersIsWell(t *testing.T) {
	m, out, p := probing(t, 9, nil)
	m.Step(p.deadline.Add(-100*time.Millisecond), "m0000:1", &Probe{Seq: 1, From: 1000, To: 1}, out)
	m.Tick(p.deadline, out)
	require.Zero(t, m.Health())
}

func TestHealthIsBoundedAndReturnsWithAcks(t *testing.T) {
	m, out := among(t, 9, nil)
	m.health.score = maxHealth
	m.doubt()
	require.Equal(t, maxHealth, m.Health())
	for want := maxHealth - 1; want >= -1; want-- {
		for m.prober.inTurn() == nil {
			m.Tick(m.NextDeadline(), out)
		}
		p := m.prober.inTurn()
		m.Step(p.began, p.target.PeerAddr, &Ack{Seq: p.seq, From: p.instance}, out)
		require.Equal(t, max(want, 0), m.Health())
	}
}

// Lifeguard, Local Health Aware Probe: interval and time-out grow with it.
func TestProbesTakeLongerWhileTheOwnHealthIsBad(t *testing.T) {
	m, out := among(t, 9, nil)
	m.health.score = 3
	began := m.prober.nextProbe
	m.Tick(began, out)
	p := m.prober.inTurn()
	require.Equal(t, began.Add(2*time.Second), p.indirect)
	require.Equal(t, began.Add(4*time.Second), p.deadline)
}

func TestWhoMustRefuteDoubtsItself(t *testing.T) {
	m, out := among(t, 3, nil)
	hears(m, simStart, with(m.Self(), func(m *Member) { m.State = Suspect }), out)
	require.Equal(t, 1, m.Health())
	hears(m, simStart, with(m.Self(), func(m *Member) { m.State = Suspect; m.Incarnation-- }), out)
	require.Equal(t, 1, m.Health(), "a stale accusation says nothing new")
}

func TestAStepThatComesLateLowersTheOwnHealth(t *testing.T) {
	for late, want := range map[time.Duration]int{400 * time.Millisecond: 0, 600 * time.Millisecond: 1, time.Minute: 1} {
		m, out := among(t, 3, nil)
		m.Tick(m.NextDeadline().Add(late), out)
		require.Equal(t, want, m.Health(), "late by %s", late)
	}
}

// While datagrams wait on our own side nobody is accused and nobody declared
// dead: what was not sent was not answered either.
func TestWhoseDatagramsWaitAccusesNobody(t *testing.T) {
	var waits time.Duration
	m, out, p := probing(t, 9, func(c *Config) { c.SendDelay = func() time.Duration { return waits } })
	suspect := others(9)[0]
	if p.target.Instance == suspect.Instance {
		suspect = others(9)[1]
	}
	hears(m, p.began, with(suspect, func(m *Member) { m.State = Suspect }), out)
	waits = 250 * time.Millisecond
	m.Tick(p.deadline, out)
	require.Equal(t, Alive, p.target.State)
	require.NotZero(t, m.Health())

	r := m.table.byInstance[suspect.Instance]
	m.health.score = 0
	over := m.suspicionEnd(r)
	m.stepped = over
	m.expireSuspects(over, out)
	require.Equal(t, Suspect, r.State)
	require.Equal(t, over.Add(time.Second), r.suspectUntil)
	waits = 249 * time.Millisecond
	m.expireSuspects(r.suspectUntil, out)
	require.Equal(t, Dead, r.State)
}

// An accusation that nobody confirms is given more time by an accuser that
// doubts itself; one that is confirmed is not.
func TestUnconfirmedSuspicionsTakeLongerWhileTheOwnHealthIsBad(t *testing.T) {
	m, out := among(t, 9, nil)
	b := others(9)[8]
	r := m.table.byInstance[b.Instance]
	m.health.score = 2
	hears(m, simStart, with(b, func(m *Member) { m.State, m.Accusers = Suspect, []uint64{1001} }), out)
	require.Equal(t, simStart.Add(18*time.Second), r.suspectUntil)
	m.health.score = 0
	m.expireSuspects(simStart.Add(5*time.Second), out)
	require.Equal(t, Suspect, r.State)
	m.health.score = 2
	hears(m, simStart, with(b, func(m *Member) { m.State, m.Accusers = Suspect, []uint64{1001, 1002, 1003, 1004} }), out)
	require.Equal(t, simStart.Add(time.Second), r.suspectUntil)
}

// Whoever monitors a suspect probes it at once, tells it of the accusation
// (Lifeguard, Buddy System), and confirms if it does not answer.
func TestMonitorsProbeASuspectAtOnceAndConfirm(t *testing.T) {
	m, out := among(t, 9, nil)
	var r *row
	for _, near := range m.neighbours() {
		r = near
	}
	c := with(r.Member, func(m *Member) { m.State, m.Accusers = Suspect, []uint64{7} })
	m.prober.nextProbe = simStart.Add(time.Hour) // nobody's turn
	hears(m, simStart, c, out)
	require.Len(t, m.prober.open, 1)
	first := out.Packets[0]
	require.Equal(t, r.PeerAddr, first.To)
	require.Equal(t, c, first.Msg.(*Probe).Updates[0])
	hears(m, simStart, c, out)
	require.Len(t, m.prober.open, 1, "once")
	over := m.prober.open[0].deadline
	m.tickProbe(over, out)
	require.Equal(t, []uint64{1, 7}, r.Accusers)
	require.Equal(t, simStart.Add(time.Hour), m.prober.nextProbe, "the round goes on as it would")

	far, out := among(t, 300, nil)
	for _, other := range far.table.live {
		if !far.monitors(other) {
			hears(far, simStart, with(other.Member, func(m *Member) { m.State = Suspect }), out)
			require.Empty(t, far.prober.open, "others leave it to them")
			return
		}
	}
}

// One datagram that is lost is no reason to ask others.
func TestAProbeIsRepeatedUntilItIsAnswered(t *testing.T) {
	m, out := among(t, 1, nil)
	began := m.prober.nextProbe
	tickUntil(m, began.Add(999*time.Millisecond), out)
	sent := 0
	for _, p := range out.Packets {
		if probe, ok := p.Msg.(*Probe); ok {
			sent++
			require.Equal(t, m.prober.open[0].seq, probe.Seq)
		}
	}
	require.Equal(t, 4, sent)

	m, out = among(t, 1, nil)
	m.Tick(m.prober.nextProbe, out)
	p := m.prober.open[0]
	m.Step(p.began, p.target.PeerAddr, &Ack{Seq: p.seq, From: p.instance}, out)
	out.Reset()
	tickUntil(m, p.began.Add(999*time.Millisecond), out)
	require.Empty(t, out.Packets, "nothing more once it is")
}

// What plain SWIM has not: for comparisons to be fair.
func TestPlainHasNothingOfLifeguard(t *testing.T) {
	m, out, p := probing(t, 200, func(c *Config) { c.Plain = true })
	m.Tick(p.deadline, out)
	require.Zero(t, m.Health())
	require.Empty(t, p.target.Accusers)
	require.False(t, m.sparse())
	probes := 0
	for _, packet := range out.Packets {
		switch msg := packet.Msg.(type) {
		case *Probe:
			if msg.To == p.instance {
				probes++
			}
		case *PingReq:
			require.False(t, msg.WantNack)
		case *Gossip:
			require.NotEqual(t, p.target.PeerAddr, packet.To, "the accused is not told first")
		}
	}
	require.Equal(t, 1, probes, "not repeated")
	m.Tick(m.NextDeadline().Add(time.Minute), out)
	require.Zero(t, m.Health(), "lateness is not noticed")
}
