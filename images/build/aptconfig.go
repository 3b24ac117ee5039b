package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// aptConfig writes the configuration of an apt that knows nothing of this machine but
// the keys it trusts for Debian.
func (b *build) aptConfig(lists string) (string, error) {
	dir := filepath.Join(b.dir, "apt")
	if err := os.MkdirAll(filepath.Join(dir, "archives", "partial"), 0o755); err != nil {
		return "", err
	}
	keys := filepath.Join(dir, "keys")
	if err := os.MkdirAll(keys, 0o755); err != nil {
		return "", err
	}
	trusted, err := filepath.Glob("/etc/apt/trusted.gpg.d/*")
	if err != nil {
		return "", err
	}
	for _, key := range append(trusted, debianKeyring) {
		if err := os.Symlink(key, filepath.Join(keys, filepath.Base(key))); err != nil {
			return "", err
		}
	}
	config := fmt.Sprintf(aptConf, dir, lists, filepath.Join(dir, "status"), filepath.Join(dir, "archives"), filepath.Join(dir, "sources.list"), keys)
	path := filepath.Join(dir, "apt.conf")
	return path, errors.Join(
		os.WriteFile(filepath.Join(dir, "status"), nil, 0o644),
		os.WriteFile(filepath.Join(dir, "sources.list"), []byte(strings.Join(b.recipe.buildSources(), "\n")+"\n"), 0o644),
		os.WriteFile(filepath.Join(b.dir, aptEarly), []byte(aptEarlyConf), 0o644),
		os.WriteFile(path, []byte(config), 0o644))
}

// aptEarly is what APT_CONFIG names, in the scratch folder. It is read before apt's own
// folders, and turns them off.
const (
	aptEarly     = "apt-early.conf"
	aptEarlyConf = "Dir::Etc::main \"/dev/null\";\nDir::Etc::parts \"/dev/null\";\n"
)

// aptConf has places for its folder, the archive's lists, the list of installed packages,
// the packages that are got, sources.list, and the folder of keys.
const aptConf = `Dir "/";
Dir::State %[1]q;
Dir::State::lists %[2]q;
Dir::State::status %[3]q;
Dir::State::extended_states "/dev/null";
Dir::Cache %[1]q;
Dir::Cache::archives %[4]q;
Dir::Etc::sourcelist %[5]q;
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts %[6]q;
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::GzipIndexes "false";
Acquire::Retries "3";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
`
