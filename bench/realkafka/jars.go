package realkafka

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Version is the Kafka that pom.xml names.
const Version = "4.3.1"

//go:embed pom.xml
var pom []byte

// Missing says what must be installed before Start can work; nil if nothing.
func Missing() error {
	var missing []error
	if _, err := exec.LookPath("java"); err != nil {
		missing = append(missing, errors.New("a real Kafka needs Java 17 or newer on the PATH"))
	}
	if _, err := exec.LookPath("mvn"); err != nil {
		missing = append(missing, errors.New("fetching Kafka needs Maven (mvn) on the PATH"))
	}
	return errors.Join(missing...)
}

// Jars gives the folder with Kafka and all it needs, fetched by Maven the first
// time: some 45 files, 43 MB. Safe to call from several processes at once.
func Jars(ctx context.Context) (string, error) { return Fetch(ctx, pom) }

// Fetch gives the folder with the jars that a pom.xml depends on, fetched by
// Maven the first time. Safe to call from several processes at once.
func Fetch(ctx context.Context, pom []byte) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a folder for Kafka's jars: %w", err)
	}
	hash := sha256.Sum256(pom)
	dir := filepath.Join(cache, "leat", "kafka-"+hex.EncodeToString(hash[:6]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := Missing(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", fmt.Errorf("make a folder for Kafka's jars: %w", err)
	}
	// Fetched beside its place and renamed: a folder that exists is complete.
	work, err := os.MkdirTemp(filepath.Dir(dir), "fetching-")
	if err != nil {
		return "", fmt.Errorf("make a folder for Kafka's jars: %w", err)
	}
	defer os.RemoveAll(work)
	pomFile, libs := filepath.Join(work, "pom.xml"), filepath.Join(work, "libs")
	if err := os.WriteFile(pomFile, pom, 0o600); err != nil {
		return "", fmt.Errorf("write pom.xml: %w", err)
	}
	mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", pomFile,
		"dependency:copy-dependencies", "-DoutputDirectory="+libs, "-DincludeScope=runtime")
	if out, err := mvn.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetch Kafka with Maven: %w\n%s", err, out)
	}
	if err := os.Rename(libs, dir); err != nil {
		// Another process was first: its folder is as good as ours.
		if _, there := os.Stat(dir); there == nil {
			return dir, nil
		}
		return "", fmt.Errorf("keep Kafka's jars: %w", err)
	}
	return dir, nil
}
