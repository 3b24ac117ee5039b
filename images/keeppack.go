package images

import (
	"errors"
	"os"
	"path/filepath"
)

// keepPack makes the new frames the store's. They must be on stable storage: a frame is
// in no index before its content is. Called under the store's lock.
func (st *staging) keepPack() error {
	if len(st.pack.entries) == 0 {
		return nil
	}
	names, err := filepath.Glob(filepath.Join(st.store.packs(), "*"))
	if err != nil {
		return err
	}
	number := nextPack(names)
	data, index := st.store.packFile(number, packDataSuffix), st.store.packFile(number, packIndexSuffix)
	if err := os.Rename(st.pack.path, data); err != nil {
		return err
	}
	if err := replaceIndex(index, packContent{st.pack.entries, st.pack.plain}); err != nil {
		return err
	}
	return st.replace(number)
}

// replace takes out of the other packs' indexes what is in this one. The data of one that
// has nothing left stays for its readers: see [Store.sweepPacks].
func (st *staging) replace(number int) error {
	if len(st.pack.replaced) == 0 {
		return nil
	}
	index, err := st.store.reloadIndex()
	if err != nil {
		return err
	}
	gone := frames{}
	for _, sum := range st.pack.replaced {
		gone[sum] = struct{}{}
	}
	for _, old := range index.numbers() {
		content := index.packs[old].packContent
		left := packContent{plain: content.plain}
		for _, e := range content.entries {
			if _, ok := gone[e.sum]; !ok {
				left.entries = append(left.entries, e)
			}
		}
		if old == number || len(left.entries) == len(content.entries) {
			continue
		}
		path := st.store.packFile(old, packIndexSuffix)
		if len(left.entries) > 0 {
			err = replaceIndex(path, left)
		} else {
			err = errors.Join(os.Remove(path), syncDir(st.store.packs()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
