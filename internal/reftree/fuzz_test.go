package reftree

import "testing"

// FuzzTree reads a history: of each two bytes the first says what is done, the
// second the form and the number of the key. A run does it to many keys.
func FuzzTree(f *testing.F) {
	f.Add([]byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, history []byte) {
		if len(history) > 200 {
			return // as much is found in less
		}
		m := newModel(t, 32)
		for ; len(history) >= 2; history = history[2:] {
			what, number := history[0], int(history[1])
			form := forms[number%len(forms)]
			stray := strays[number%len(strays)]
			do := []func(string){m.insert, m.insert, m.delete, m.replace}[what%4]
			switch what / 4 % 8 {
			case 0:
				do(stray)
			case 1:
				m.seek(stray, number%2 == 0, 100)
			case 2:
				m.seek(form(number), number%2 == 0, 100)
			case 3:
				do(form(number))
			case 4, 5:
				for i := range 600 {
					do(form(number*7 + i))
				}
			case 6:
				for i := range 600 {
					do(form(number*7 + 600 - i))
				}
			case 7:
				for i := range 600 {
					do(form((number*7 + i*389) % 6000))
				}
			}
			m.check()
		}
		m.seek("", true, 1<<20)
	})
}
