package pipelines

import (
	"fmt"
	"sort"
	"strings"
)

// nearest finds the word that was probably meant, or "".
func nearest(word string, words []string) string {
	best, bestDistance := "", 3
	if len(word) <= 4 {
		bestDistance = 2
	}
	for _, w := range words {
		if strings.EqualFold(w, word) || strings.ReplaceAll(word, "-", "_") == w {
			return w
		}
		if d := distance(strings.ToLower(word), w); d < bestDistance {
			best, bestDistance = w, d
		}
	}
	if best == "" && len(word) >= 3 {
		for _, w := range words {
			if strings.HasPrefix(w, word) || strings.HasSuffix(w, "_"+word) {
				return w
			}
		}
	}
	return best
}

// didYouMean is the hint for a word that is not one of words: the nearest, or
// else all of them when they are few.
func didYouMean(word string, words []string) string {
	if w := nearest(word, words); w != "" {
		return fmt.Sprintf("did you mean %q?", w)
	}
	if len(words) == 0 {
		return ""
	}
	sorted := append([]string(nil), words...)
	sort.Strings(sorted)
	if len(sorted) > 16 {
		return ""
	}
	return "known: " + strings.Join(sorted, ", ")
}

// distance is the number of single-character edits between two words, a swap
// of neighbours counting as one (optimal string alignment).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var rows [3][66]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := 0; j <= len(b); j++ {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// article is the word with "a" or "an" before it; our words with u begin like "you".
func article(word string) string {
	if strings.HasPrefix(word, "sse") {
		return "an " + word
	}
	if word != "" && strings.ContainsRune("aeio", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}
