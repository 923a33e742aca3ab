package pipelines

import _ "embed"

// Demo is the pipeline that leat demo runs: demo.yaml.
//
//go:embed demo.yaml
var Demo []byte
