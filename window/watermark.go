package window

// Watermark is the time of one source partition: the greatest event time seen
// minus max_out_of_orderness. It never goes back, unless it is restored.
//
// Rows of the partition are told to Observe in offset order; what it answers
// is the row's origin, by which lateness is judged. So a partition finds the
// same rows late in every run, whatever the sizes of batches and however many
// workers.
type Watermark struct {
	value    int64
	disorder int64 // max_out_of_orderness, milliseconds
}

// NewWatermark makes the watermark of a partition that has not been heard:
// MinTime. maxOutOfOrderness is in milliseconds, not negative.
func NewWatermark(maxOutOfOrderness int64) Watermark {
	return Watermark{value: MinTime, disorder: maxOutOfOrderness}
}

// Observe takes the event time of the next row, gives the watermark just
// before the row, and then advances.
func (w *Watermark) Observe(t int64) (before int64) {
	before = w.value
	if v := minus(t, w.disorder); v > before {
		w.value = v
	}
	return before
}

// Value is the present watermark.
func (w *Watermark) Value() int64 { return w.value }

// Advance moves the watermark on to a time that no row gave (close_after_idle,
// the end of input). It never moves it back.
func (w *Watermark) Advance(to int64) { w.value = max(w.value, to) }

// Restore sets the watermark to one that was committed: after an assignment,
// and back after an abort.
func (w *Watermark) Restore(value int64) { w.value = value }
