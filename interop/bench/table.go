package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// row is one line of a table. The figures are in the sheet under its key.
type row struct {
	key, title string
	format     func(float64) string
	goal       string // of the ratio, or of Grove's figure where there is no ratio
	ratio      bool   // whether Grove's figure divided by ZooKeeper's means something
}

// loadRows are the rows of the load section.
func loadRows() []row {
	return []row{
		{"create", "create, operations a second", thousands, "≥ 3", true},
		{"set", "set, operations a second", thousands, "≥ 3", true},
		{"get", "get, operations a second", thousands, "≥ 4", true},
		{"mixed", "mixed (90 % get, 10 % set), operations a second", thousands, "≥ 3", true},
		{"set1", "set, one at a time, operations a second", thousands, "", true},
		{"set1 p50", "— p50, ms", decimals, "≤ 1", true},
		{"set1 p99", "— p99, ms", decimals, "≤ 1", true},
		{"get1", "get, one at a time, operations a second", thousands, "", true},
		{"get1 p50", "— p50, ms", decimals, "≤ 1", true},
		{"get1 p99", "— p99, ms", decimals, "≤ 1", true},
	}
}

// millionRows are the rows of the section about many nodes.
func millionRows() []row {
	return []row{
		{"fill", "time to fill, s", decimals, "", true},
		{"rss", "resident memory after the fill, MiB", thousands, "≤ 0.33", true},
		{"peak", "— the highest until then, MiB", thousands, "", true},
		{"restart", "kill -9, then from exec to the first answered handshake, s", decimals, "< 1", true},
		{"rss again", "resident memory after that, MiB", thousands, "", true},
	}
}

// steadyRows are the rows of one scope of the section about steadiness.
func steadyRows(scope string) []row {
	return []row{
		{scope + " mean", "mean, sets a second", thousands, "", true},
		{scope + " worst", "worst second", thousands, "", true},
		{scope + " share", "worst second / mean", percent, "≥ 80 %", false},
		{scope + " checkpoints", "checkpoints (ZooKeeper: snapshots) meanwhile", thousands, "> 0", false},
		{scope + " longest", "— the longest, s", decimals, "", false},
		{scope + " rss", "resident memory afterwards, MiB", thousands, "", true},
	}
}

// fanoutRows are the rows of the fan-out section.
func fanoutRows() []row {
	return []row{
		{"fanout p50", "from the set to half of the events, ms", decimals, "", true},
		{"fanout all", "— to the last event, ms", decimals, "", true},
	}
}

// table writes rows as Markdown, one column for each contender, with medians over the rounds. What
// was not measured is a dash.
func table(s sheet, contenders []string, rows []row) string {
	var b strings.Builder
	both := len(contenders) == 2
	head, rule := "| |", "|---|"
	for _, c := range contenders {
		head, rule = head+" "+c+" |", rule+"---:|"
	}
	if both {
		head, rule = head+" ratio |", rule+"---:|"
	}
	fmt.Fprintf(&b, "%s goal |\n%s---:|\n", head, rule)
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s |", r.title)
		for _, c := range contenders {
			fmt.Fprintf(&b, " %s |", cell(median(s[r.key][c]), r.format))
		}
		if both {
			ratio := math.NaN()
			if r.ratio {
				ratio = median(s[r.key][grove]) / median(s[r.key][zooKeeper])
			}
			fmt.Fprintf(&b, " %s |", cell(ratio, decimals))
		}
		fmt.Fprintf(&b, " %s |\n", r.goal)
	}
	return b.String()
}

func cell(v float64, format func(float64) string) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	return format(v)
}

func decimals(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
func percent(v float64) string  { return strconv.FormatFloat(v*100, 'f', 0, 64) + " %" }

// thousands writes a whole number with a comma before every three digits.
func thousands(v float64) string {
	digits := strconv.FormatFloat(math.Abs(v), 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if v < 0 {
		return "-" + digits
	}
	return digits
}
