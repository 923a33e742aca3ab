package pipelines

import (
	"fmt"
	"sort"
	"strings"

	"github.com/leatstream/leat/engine"
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
		if d := engine.Distance(strings.ToLower(word), w); d < bestDistance {
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
