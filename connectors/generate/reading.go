package generate

import "strconv"

// reading is one row. Numbers are in the units that are written: temp in
// hundredths of a degree, hum in tenths of a percent, bat in millivolts,
// coordinates in thousandths of a degree.
type reading struct {
	sensor     []byte
	site       string
	ts         int64 // epoch ms
	temp       int64
	hum, bat   int64
	status     string
	fw         int64 // the patch of version 2.4
	lat, lon   int64
	seq        int64
	withoutTs  bool
	tempIsText bool
}

// append appends the row as JSON.
func (r *reading) append(dst []byte) []byte {
	dst = append(dst, `{"sensor_id":"`...)
	dst = append(dst, r.sensor...)
	dst = append(dst, `","site":"`...)
	dst = append(dst, r.site...)
	if dst = append(dst, '"'); !r.withoutTs {
		dst = append(dst, `,"ts":`...)
		dst = strconv.AppendInt(dst, r.ts, 10)
	}
	dst = append(dst, `,"temp":`...)
	if r.tempIsText {
		dst = append(dst, `"n/a"`...)
	} else {
		dst = appendDecimal(dst, r.temp, 2)
	}
	dst = append(dst, `,"hum":`...)
	dst = appendDecimal(dst, r.hum, 1)
	dst = append(dst, `,"bat":`...)
	dst = appendDecimal(dst, r.bat, 3)
	dst = append(dst, `,"status":"`...)
	dst = append(dst, r.status...)
	dst = append(dst, `","fw":"2.4.`...)
	dst = strconv.AppendInt(dst, r.fw, 10)
	dst = append(dst, `","unit":"C","loc":{"lat":`...)
	dst = appendDecimal(dst, r.lat, 3)
	dst = append(dst, `,"lon":`...)
	dst = appendDecimal(dst, r.lon, 3)
	dst = append(dst, `},"seq":`...)
	dst = strconv.AppendInt(dst, r.seq, 10)
	return append(dst, '}')
}

// appendDecimal appends n / 10^decimals with exactly that many decimals.
func appendDecimal(dst []byte, n int64, decimals int) []byte {
	if n < 0 {
		dst = append(dst, '-')
		n = -n
	}
	scale := int64(1)
	for range decimals {
		scale *= 10
	}
	dst = strconv.AppendInt(dst, n/scale, 10)
	dst = append(dst, '.')
	for scale /= 10; scale > 0; scale /= 10 {
		dst = append(dst, '0'+byte(n/scale%10))
	}
	return dst
}

// appendSensor appends the id of sensor n: s-00042.
func appendSensor(dst []byte, n int) []byte {
	return append(dst, 's', '-', '0'+byte(n/10000%10), '0'+byte(n/1000%10), '0'+byte(n/100%10), '0'+byte(n/10%10), '0'+byte(n%10))
}

// city is a site where sensors stand.
type city struct {
	name     string
	lat, lon int64 // thousandths of a degree
	mean     int64 // hundredths of a degree: the day's middle, in November
	swing    int64 // how far the day goes above and below it
}

var cities = []city{
	{"oslo", 59914, 10752, 250, 300},
	{"berlin", 52520, 13405, 620, 420},
	{"krakow", 50065, 19945, 510, 450},
	{"ghent", 51054, 3725, 890, 330},
	{"milan", 45464, 9190, 780, 480},
	{"porto", 41150, -8611, 1380, 510},
	{"turin", 45070, 7687, 920, 560},
	{"lyon", 45764, 4836, 980, 470},
}
