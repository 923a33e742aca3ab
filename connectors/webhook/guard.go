package webhook

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// Guard tells which addresses may be dialled: public ones, and those of Allow.
type Guard struct{ Allow []netip.Prefix }

// Refused is the error of an address that may not be dialled.
type Refused struct {
	Addr netip.Addr
	Why  string
}

func (r *Refused) Error() string {
	return fmt.Sprintf("%v is refused: %s (alerts.allow in leat.yaml lists the networks that may be posted to)", r.Addr, r.Why)
}

// reserved are the networks that are not the public internet, beside those that
// netip knows by name. IANA's special-purpose registries, and the one public
// address that is a cloud's own.
var reserved = []struct {
	prefix netip.Prefix
	why    string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
	{netip.MustParsePrefix("100.64.0.0/10"), "a provider's inner network"},
	{netip.MustParsePrefix("168.63.129.16/32"), "a cloud's metadata"},
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved"},
	{netip.MustParsePrefix("192.0.2.0/24"), "for documentation"},
	{netip.MustParsePrefix("192.88.99.0/24"), "a relay"},
	{netip.MustParsePrefix("198.18.0.0/15"), "for measurements"},
	{netip.MustParsePrefix("198.51.100.0/24"), "for documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "for documentation"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},
	{netip.MustParsePrefix("::/96"), "an IPv4 address in disguise"},
	{netip.MustParsePrefix("64:ff9b::/96"), "an IPv4 address in disguise"},
	{netip.MustParsePrefix("64:ff9b:1::/48"), "an IPv4 address in disguise"},
	{netip.MustParsePrefix("100::/64"), "discarded"},
	{netip.MustParsePrefix("2001::/23"), "reserved"},
	{netip.MustParsePrefix("2001:db8::/32"), "for documentation"},
	{netip.MustParsePrefix("2002::/16"), "an IPv4 address in disguise"},
	{netip.MustParsePrefix("3fff::/20"), "for documentation"},
	{netip.MustParsePrefix("5f00::/16"), "reserved"},
	{netip.MustParsePrefix("fec0::/10"), "a private network"},
}

// Check judges one address; a Refused says why not.
func (g Guard) Check(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	if slices.ContainsFunc(g.Allow, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return nil
	}
	for _, c := range []struct {
		is  bool
		why string
	}{
		{!addr.IsValid(), "no address"},
		{addr.IsUnspecified(), "this machine"},
		{addr.IsLoopback(), "this machine"},
		{addr.IsPrivate(), "a private network"},
		{addr.IsLinkLocalUnicast(), "a network link, where clouds keep their metadata"},
		{addr.IsMulticast(), "many machines"},
	} {
		if c.is {
			return &Refused{addr, c.why}
		}
	}
	for _, r := range reserved {
		if r.prefix.Contains(addr) {
			return &Refused{addr, r.why}
		}
	}
	return nil
}

// control is net.Dialer.Control: it sees the address that is really dialled.
func (g Guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	return g.Check(ap.Addr())
}

// ParseAllow reads a network (10.0.0.0/8) or an address.
func ParseAllow(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither a network (10.0.0.0/8) nor an address", text)
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen()), nil
}
