package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
	"github.com/spf13/cobra"
)

func dashboardCommand() *cobra.Command {
	var grafana bool
	cmd := &cobra.Command{
		Use: "dashboard FILE --grafana", Short: "Write a pipeline's dashboard for Grafana",
		Long: "Prints the dashboard of a pipeline as JSON that Grafana imports. Rows come from GET /v1/views by\n" +
			"the Infinity data source (yesoreyeram-infinity-datasource), how the workers are from Prometheus.\n" +
			"Grafana asks for both when it imports, and for the address of leat.",
		Args: minimum(1, "a pipeline file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !grafana {
				return coded{exitUsage, errors.New("say for what: --grafana")}
			}
			p, err := one(args, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			_, topo, err := pipelines.Explain(p)
			if err != nil {
				return coded{exitInvalid, err}
			}
			b, err := grafanaOf(topo)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", b)
			return err
		},
	}
	cmd.Flags().BoolVar(&grafana, "grafana", false, "as JSON that Grafana imports")
	return cmd
}

type jsonObject = map[string]any

// panelOf is a panel of a pipeline's dashboard, as the page has it.
type panelOf struct {
	Type, Title, View, Value, Series, Unit string
	Columns                                []string
	K                                      int
}

const (
	rowsSource    = "${DS_LEAT}"
	metricsSource = "${DS_PROMETHEUS}"
)

// grafanaOf is a pipeline's dashboard for Grafana: its panels, three to a row,
// and below them how the workers are.
func grafanaOf(topo *engine.Topology) ([]byte, error) {
	var spec struct{ Panels []panelOf }
	if len(topo.Dashboard) > 0 {
		if err := json.Unmarshal(topo.Dashboard, &spec); err != nil {
			return nil, fmt.Errorf("read the dashboard of %s: %w", topo.Pipeline, err)
		}
	}
	if len(spec.Panels) == 0 {
		spec.Panels = drawnByThemselves(topo.Views)
	}
	panels := []jsonObject{}
	place := func(p jsonObject) {
		i := len(panels)
		p["id"], p["gridPos"] = i+1, jsonObject{"x": i % 3 * 8, "y": i / 3 * 8, "w": 8, "h": 8}
		panels = append(panels, p)
	}
	for _, p := range spec.Panels {
		i := slices.IndexFunc(topo.Views, func(v engine.ViewSpec) bool { return v.Name == p.View })
		switch {
		case p.Type == "lag":
			place(metric(cmp.Or(p.Title, "Behind the clock"), "s", fmt.Sprintf("max by (task) (leat_watermark_lag_seconds{pipeline=%q})", topo.Pipeline), "task {{task}}"))
		case i >= 0:
			place(rowsPanel(p, topo.Views[i]))
		}
	}
	for _, m := range [][3]string{
		{"Records read", "rps", "sum(rate(leat_records_in_total{pipeline=%q}[$__rate_interval]))"},
		{"Late rows", "rps", "sum(rate(leat_late_records_total{pipeline=%q}[$__rate_interval]))"},
		{"Dead letters", "rps", "sum(rate(leat_dead_letters_total{pipeline=%q}[$__rate_interval]))"},
	} {
		place(metric(m[0], m[1], fmt.Sprintf(m[2], topo.Pipeline), ""))
	}
	input := func(name, label, plugin string) jsonObject {
		return jsonObject{"name": name, "label": label, "type": "datasource", "pluginId": plugin, "pluginName": label}
	}
	b, err := json.MarshalIndent(jsonObject{
		"__inputs": []jsonObject{input("DS_LEAT", "Infinity", infinity), input("DS_PROMETHEUS", "Prometheus", "prometheus"),
			{"name": "VAR_LEAT", "label": "Address of leat", "type": "constant", "value": "http://" + defaultHTTP}},
		"uid": "leat-" + topo.Pipeline[:min(35, len(topo.Pipeline))], "title": topo.Title(), "tags": []string{"leat"}, "schemaVersion": 39, "refresh": "10s",
		"time": jsonObject{"from": "now-15m", "to": "now"},
		"templating": jsonObject{"list": []jsonObject{{"name": "leat", "label": "Address of leat", "type": "constant", "hide": 2, "query": "${VAR_LEAT}",
			"current": jsonObject{"text": "${VAR_LEAT}", "value": "${VAR_LEAT}"}}}},
		"panels": panels,
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the dashboard of %s: %w", topo.Pipeline, err)
	}
	return b, nil
}

const infinity = "yesoreyeram-infinity-datasource"

// drawnByThemselves are the panels of a dashboard that names none: a chart for
// each number of each view, and its rows.
func drawnByThemselves(views []engine.ViewSpec) (panels []panelOf) {
	for _, v := range views {
		for _, c := range v.Columns {
			if columnKind(c.Type) == "number" && !slices.Contains(v.KeyColumns, c.Name) && !v.Stream {
				kind := "stat"
				if v.Windowed {
					kind = "timeseries"
				}
				panels = append(panels, panelOf{Type: kind, Title: v.Sink + ": " + c.Name, View: v.Name, Value: c.Name})
			}
		}
		panels = append(panels, panelOf{Type: "table", Title: v.Sink, View: v.Name})
	}
	return panels
}

// grafanaKinds are Grafana's panels for ours. It has none for sketches: their
// rows are shown.
var grafanaKinds = map[string]string{"timeseries": "timeseries", "stat": "stat", "topk": "bargauge"}

func rowsPanel(p panelOf, v engine.ViewSpec) jsonObject {
	kind := grafanaKinds[p.Type]
	if kind == "" || p.Value == "" || kind == "timeseries" && !v.Windowed {
		kind = "table"
	}
	q, limit := url.Values{}, 10_000
	want := p.Columns
	if kind != "table" {
		want = append(slices.Clone(v.KeyColumns), p.Value)
	}
	if p.Type == "topk" {
		q.Set("order", "-"+p.Value)
		limit = cmp.Or(p.K, 10)
	}
	q.Set("limit", strconv.Itoa(limit))
	address := "${leat}/v1/views/" + v.Pipeline + "/" + v.Sink + "?" + q.Encode()
	if v.Windowed {
		address += "&window_from=${__from}&window_to=${__to}"
	}
	columns := []jsonObject{}
	for _, c := range v.Columns {
		if len(want) == 0 || slices.Contains(want, c.Name) {
			columns = append(columns, jsonObject{"selector": c.Name, "text": c.Name, "type": columnKind(c.Type)})
		}
	}
	out := jsonObject{
		"type": kind, "title": cmp.Or(p.Title, p.Value, v.Sink), "datasource": jsonObject{"type": infinity, "uid": rowsSource},
		"fieldConfig": jsonObject{"defaults": jsonObject{"unit": grafanaUnit(p.Unit)}, "overrides": []any{}},
		"targets": []jsonObject{{"refId": "A", "datasource": jsonObject{"type": infinity, "uid": rowsSource}, "type": "json", "parser": "backend", "source": "url", "format": "table",
			"url": address, "url_options": jsonObject{"method": "GET"}, "root_selector": "rows", "columns": columns}},
	}
	if names := otherKeys(v); kind == "timeseries" && len(names) > 0 {
		out["transformations"] = []jsonObject{
			{"id": "filterFieldsByName", "options": jsonObject{"include": jsonObject{"names": append([]string{"window_end", p.Value}, names...)}}},
			{"id": "partitionByValues", "options": jsonObject{"fields": names}}}
	} else if kind == "timeseries" {
		out["transformations"] = []jsonObject{{"id": "filterFieldsByName", "options": jsonObject{"include": jsonObject{"names": []string{"window_end", p.Value}}}}}
	}
	if kind == "stat" || kind == "bargauge" {
		out["options"] = jsonObject{"reduceOptions": jsonObject{"calcs": []string{"lastNotNull"}, "fields": "/^" + p.Value + "$/", "values": kind == "bargauge"}}
	}
	return out
}

// otherKeys are the key columns that are not the window's: a line for each.
func otherKeys(v engine.ViewSpec) (names []string) {
	for _, k := range v.KeyColumns {
		if k != "window_start" && k != "window_end" {
			names = append(names, k)
		}
	}
	return names
}

func metric(title, unit, expr, legend string) jsonObject {
	source := jsonObject{"type": "prometheus", "uid": metricsSource}
	return jsonObject{"type": "timeseries", "title": title, "datasource": source, "fieldConfig": jsonObject{"defaults": jsonObject{"unit": unit}, "overrides": []any{}},
		"targets": []jsonObject{{"refId": "A", "datasource": source, "expr": expr, "legendFormat": legend}}}
}

// columnKind is the Infinity data source's name for a type of ours.
func columnKind(kind string) string {
	switch t, _ := engine.ParseType(kind); t {
	case engine.Timestamp:
		return "timestamp_epoch"
	case engine.Int, engine.Double:
		return "number"
	case engine.Bool:
		return "boolean"
	}
	return "string"
}

// grafanaUnit is a unit as Grafana writes it; what it does not know stands
// behind the number.
func grafanaUnit(unit string) string {
	known := map[string]string{"": "none", "ms": "ms", "s": "s", "bytes": "bytes", "%": "percent", "percent": "percent", "ops/s": "ops"}
	if u, ok := known[unit]; ok {
		return u
	}
	return "suffix: " + unit
}
