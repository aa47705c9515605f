package znode

import (
	"strings"
	"testing"
)

// What Java's X500Principal takes and refuses, asked of Java 17.
func TestNamesThatJavaTakes(t *testing.T) {
	for name := range strings.SplitSeq(`
CN=x
CN="a,b"
cn = x ; o=y
CN=
CN=x+O=y
1.2.3=x
OID.1.2.3=#0401ff
CN=a\,b
CN=a\\
S=x
CN=a=b
CN=a b  c
 CN=x 
CN=\ x
CN=\ 
CN=a\41
CN="a" 
EMAIL=x
1.2.3=
CN=#0c0141
CN=a#b
CN=é
1.2.840.113549.1.9.1=a@b`, "\n") {
		if !validDN(name) {
			t.Errorf("%q is refused", name)
		}
	}
}

func TestNamesThatJavaRefuses(t *testing.T) {
	for name := range strings.SplitSeq(` 
CN=x,foo=y
CN=#zz
CN=a\zz
CN=a"b
x
CN=x,
,CN=x
CN=a<b
CN=a;b
CN="a"b
CN="a
CN=x+
+CN=x
9.2=x
1.40=x
1=x
CN=a\
CN=#
CN=#0c
CN=#0c0241
C N=x
=x`, "\n") {
		if validDN(name) {
			t.Errorf("%q is taken", name)
		}
	}
}

func TestACertificateIsItsName(t *testing.T) {
	list, err := FixUp([]ACE{{Perms: PermAll, Scheme: "x509", ID: "CN=a,O=b"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[Identity]bool{
		{Scheme: "x509", ID: "CN=a,O=b"}: true, {Scheme: "x509", ID: "CN=a, O=b"}: false, {Scheme: "digest", ID: "CN=a,O=b"}: false,
	} {
		if list.Allows([]Identity{id}, PermRead) != want {
			t.Errorf("%v may read: %v", id, !want)
		}
	}
	mine, err := FixUp([]ACE{{Perms: PermAll, Scheme: "auth"}}, []Identity{{Scheme: "ip", ID: "::1"}, {Scheme: "x509", ID: "CN=a"}})
	if err != nil || len(mine.Entries()) != 1 || mine.Entries()[0].Scheme != "x509" {
		t.Errorf("auth became %v, %v", mine.Entries(), err)
	}
}
