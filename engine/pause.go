package engine

// pause stops a task's inputs while a huge window closes, or lets them go on.
func (l *lane) pause(t *laneTask, on bool) {
	t.paused = on
	if on {
		l.session.Pause(t.inputs)
		return
	}
	t.held = nil
	l.session.Resume(t.inputs)
}

// hold stops the inputs of which too many rows wait, and lets them go on.
func (l *lane) hold(t *laneTask) {
	if !t.task.Merges() || t.paused {
		return
	}
	var stop, start []TopicPartition
	for _, tp := range t.inputs {
		switch on := t.task.Paused(tp); {
		case on && !t.held[tp]:
			stop = append(stop, tp)
		case !on && t.held[tp]:
			start = append(start, tp)
		}
	}
	for _, tp := range stop {
		if t.held == nil {
			t.held = map[TopicPartition]bool{}
		}
		t.held[tp] = true
	}
	for _, tp := range start {
		delete(t.held, tp)
	}
	if len(stop) > 0 {
		l.session.Pause(stop)
	}
	if len(start) > 0 {
		l.session.Resume(start)
	}
}
