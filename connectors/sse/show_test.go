package sse

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat/engine"
)

// TestShow serves the page with made-up orders, for eyes and browsers:
//
//	SHOW=localhost:8099 go test -run TestShow -timeout 0 ./connectors/sse
//
// SHOW_FOR (default 10m) is how long.
func TestShow(t *testing.T) {
	addr := os.Getenv("SHOW")
	if addr == "" {
		t.Skip("SHOW is not set: nobody wants to look")
	}
	length, err := time.ParseDuration(os.Getenv("SHOW_FOR"))
	if err != nil {
		length = 10 * time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	topic := newShop()
	hub := NewHub(Options{})
	hub.Add(shopSpecs[0], json.RawMessage(shopDashboard), "")
	hub.Add(shopSpecs[1], nil, "")
	hub.Add(shopSpecs[2], nil, "")
	auto := shopSpecs[0]
	auto.Name, auto.Pipeline = "auto/revenue", "auto"
	hub.Add(auto, nil, "Drawn by itself")
	go topic.trade(ctx)
	go func() { _ = hub.Run(ctx, topic) }()
	server := &http.Server{Addr: addr, Handler: hub.Handler(), ReadHeaderTimeout: time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	_ = server.ListenAndServe()
}

const shopDashboard = `{"title":"Orders, live","panels":[
 {"type":"stat","title":"Revenue per minute","view":"revenue","value":"revenue","unit":"EUR"},
 {"type":"stat","title":"Orders per minute","view":"revenue","value":"orders"},
 {"type":"stat","title":"Latency p95","view":"revenue","value":"p95_ms","unit":"ms"},
 {"type":"stat","title":"Units sold today","view":"products","value":"sold"},
 {"type":"timeseries","title":"Revenue by country","view":"revenue","value":"revenue","series":"country","unit":"EUR"},
 {"type":"lag","title":"Lag","view":"revenue"},
 {"type":"stat","title":"Orders","view":"revenue","value":"orders"},
 {"type":"timeseries","title":"All orders","view":"revenue","value":"orders","series":[]},
 {"type":"timeseries","title":"Orders by country, log scale","view":"revenue","value":"orders","scale":"log"},
 {"type":"heatmap","title":"Waiting times","view":"revenue","value":"waits","unit":"ms"},
 {"type":"quantiles","title":"Waiting times, quantiles","view":"revenue","value":"waits","unit":"ms"},
 {"type":"heatmap","title":"Revenue by country","view":"revenue","value":"revenue","series":"country","unit":"EUR"},
 {"type":"events","title":"Failed payments, live","view":"failed"},
 {"type":"topk","title":"Best sellers","view":"products","value":"sold","by":"product","k":8},
 {"type":"topk","title":"Revenue now","view":"revenue","value":"revenue","by":"country","unit":"EUR","k":8},
 {"type":"table","title":"Every window","view":"revenue"},
 {"type":"table","title":"Payments that failed","view":"failed"}]}`

var shopSpecs = []engine.ViewSpec{
	{Name: "orders/revenue", Pipeline: "orders", Sink: "revenue", Topic: "revenue", Tasks: 2, Generation: 1, Windowed: true, History: 15 * time.Minute,
		KeyColumns: []string{"country", "window_start", "window_end"},
		Columns: []engine.ViewColumn{{Name: "country", Type: "string"}, {Name: "orders", Type: "int"}, {Name: "revenue", Type: "double"}, {Name: "p95_ms", Type: "double"}, {Name: "waits", Type: "array"},
			{Name: "window_start", Type: "timestamp"}, {Name: "window_end", Type: "timestamp"}}},
	{Name: "orders/products", Pipeline: "orders", Sink: "products", Topic: "products", Tasks: 2, Generation: 1, KeyColumns: []string{"product"},
		Columns: []engine.ViewColumn{{Name: "product", Type: "string"}, {Name: "sold", Type: "int"}}},
	{Name: "orders/failed", Pipeline: "orders", Sink: "failed", Topic: "failed", Tasks: 2, Generation: 1, Stream: true, MaxRows: 200,
		Columns: []engine.ViewColumn{{Name: "order_id", Type: "int"}, {Name: "country", Type: "string"}, {Name: "amount", Type: "double"}, {Name: "reason", Type: "string"}}},
}

// shop is three topics.
type shop map[engine.Topic]*memory

func newShop() shop {
	return shop{"revenue": newMemory(2), "products": newMemory(2), "failed": newMemory(2)}
}

func (s shop) Tail(ctx context.Context, topic engine.Topic, from map[engine.Partition]engine.Offset, fn func([]*engine.Rows, map[engine.Partition]engine.Offset) error) error {
	return s[topic].Tail(ctx, topic, from, fn)
}

func (s shop) EndOffsets(ctx context.Context, topic engine.Topic) (map[engine.Partition]engine.Offset, error) {
	return s[topic].EndOffsets(ctx, topic)
}

// trade makes windows of a minute every 5 s, 15 minutes back and then live.
func (s shop) trade(ctx context.Context) {
	countries := []string{"DE", "FR", "US", "JP", "BR", "IN", "GB", "NL", "SE", "PL"}
	products := []string{"Espresso beans 1 kg", "Pour-over kettle", "Hand grinder", "Paper filters", "Travel mug", "Milk frother", "Scale with timer", "Cold brew jar", "Cleaning tablets", "<b>Hostile</b> name", "Tasting set"}
	const step, size = 5000, 60000
	sold := make([]int, len(products))
	window := func(end int64, share float64, final bool) {
		for i, c := range countries {
			x := float64(end) / 60000
			n := share * (120/(1+float64(i)*0.55) + 26*math.Sin(x/3+float64(i)) + 8*math.Sin(x*2.1+float64(i*i)) + 6*rand.Float64())
			if n < 0 || (c == "SE" && end/90000%4 == 0) {
				continue
			}
			s["revenue"].put(i%2, fmt.Sprintf(`{"country":"%s","window_end":%d}`, c, end),
				fmt.Sprintf(`{"country":"%s","orders":%d,"revenue":%.2f,"p95_ms":%.1f,"waits":%s,"window_start":%d,"window_end":%d,"final":%v}`,
					c, int(n), n*(31+4*math.Sin(x/5+float64(i))), 140+30*math.Sin(x/2)+10*rand.Float64(), waits(int(n), x), end-size, end, final))
		}
	}
	now := time.Now().UnixMilli() / step * step
	for end := now - 15*60000; end <= now-5000; end += step {
		window(end, 1, true)
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		t := time.Now().UnixMilli()
		watermark := t - 4000
		for end := t / step * step; end < t+size; end += step {
			window(end+step, max(0, min(1, float64(t-(end+step-size))/size)), false)
		}
		if end := watermark / step * step; end > now-5000 {
			for ; now-5000 < end; now += step {
				window(now, 1, true)
			}
		}
		for range 6 {
			i := int(math.Abs(rand.NormFloat64()) * 3.2)
			if i < len(products) {
				sold[i] += 1 + rand.IntN(4)
				s["products"].put(i%2, products[i], fmt.Sprintf(`{"product":%q,"sold":%d}`, products[i], sold[i]+400-i*30))
			}
		}
		if n%3 == 0 {
			s["failed"].put(n%2, fmt.Sprintf("orders/0/%d", n), fmt.Sprintf(`{"order_id":"90071992547%06d","country":"%s","amount":%.2f,"reason":%q,"_time":%d}`,
				n, countries[rand.IntN(10)], rand.Float64()*200, []string{"card declined", "3-D Secure timed out", "insufficient funds"}[rand.IntN(3)], t))
		}
		if n%2 == 0 {
			for task := range 2 {
				m := mark{Watermark: &watermark, LagMillis: 4000 + int64(rand.IntN(600)), LagRecords: int64(rand.IntN(900)), Late: int64(n / 40), At: t, Holding: fmt.Sprintf("orders/%d", 3+task)}
				for _, topic := range s {
					topic.put(task, markKey(task), string(m.encode()))
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// waits is a histogram as histogram(x) gives it: bins 2 % wide, of n waiting
// times with two humps, the slower of which comes and goes.
func waits(n int, x float64) string {
	const width = 1.0202
	bins := map[int]int{}
	for range n {
		ms := 40 * math.Exp(0.35*rand.NormFloat64())
		if rand.Float64() < 0.15+0.15*math.Sin(x/4) {
			ms = 400 * math.Exp(0.25*rand.NormFloat64())
		}
		bins[int(math.Ceil(math.Log(ms)/math.Log(width)))]++
	}
	list := []byte{'['}
	for i, bin := range slices.Sorted(maps.Keys(bins)) {
		if i > 0 {
			list = append(list, ',')
		}
		list = fmt.Appendf(list, `{"le":%.6g,"count":%d}`, math.Pow(width, float64(bin)), bins[bin])
	}
	return string(append(list, ']'))
}
