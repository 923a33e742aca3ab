package kafka

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// logger hands the client's lines to slog; its information is our debug. While a
// broker is away the client says the same of every request and partition: a line
// is told once in quiet, and then with how many others there were. Called from
// the client's goroutines.
type logger struct {
	l   *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	said map[string]*saying
}

// saying is what was told last of one message.
type saying struct {
	at     time.Time
	unsaid int
}

const quiet = 5 * time.Second

func newLogger(l *slog.Logger) *logger {
	return &logger{l: l, now: time.Now, said: map[string]*saying{}}
}

func (l *logger) Level() kgo.LogLevel {
	switch ctx := context.Background(); {
	case l.l.Enabled(ctx, slog.LevelDebug):
		return kgo.LogLevelInfo
	case l.l.Enabled(ctx, slog.LevelWarn):
		return kgo.LogLevelWarn
	case l.l.Enabled(ctx, slog.LevelError):
		return kgo.LogLevelError
	}
	return kgo.LogLevelNone
}

func (l *logger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	to := slog.LevelDebug
	switch level {
	case kgo.LogLevelError:
		to = slog.LevelError
	case kgo.LogLevelWarn:
		to = slog.LevelWarn
	}
	if to > slog.LevelDebug {
		unsaid, say := l.say(msg)
		if !say {
			return
		}
		if unsaid > 0 {
			keyvals = append(keyvals[:len(keyvals):len(keyvals)], "and_others", unsaid)
		}
	}
	l.l.Log(context.Background(), to, "kafka client: "+msg, keyvals...)
}

// say tells whether a message is to be told, and how many of it were not since
// the last time. The client's messages are constants, so there are few.
func (l *logger) say(msg string) (unsaid int, say bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	s := l.said[msg]
	if s == nil {
		l.said[msg] = &saying{at: now}
		return 0, true
	}
	if now.Sub(s.at) < quiet {
		s.unsaid++
		return 0, false
	}
	unsaid = s.unsaid
	s.at, s.unsaid = now, 0
	return unsaid, true
}
