package contents

import "ingot/inventory"

// Walk visits everything below a folder in the order of names, the folder itself not;
// links are not followed. A folder that is not there has nothing below it.
func (f *FS) Walk(dir string, visit func(Entry) error) error {
	at, err := f.resolve(dir, true)
	if err != nil {
		return nil
	}
	count := 0
	return f.walk(at.Path, 0, &count, visit)
}

func (f *FS) walk(dir string, depth int, count *int, visit func(Entry) error) error {
	if depth > maxDepth {
		return inventory.Invalid("/%s of the image: folders more than %d deep", dir, maxDepth)
	}
	list, err := f.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if *count++; *count > 16*maxEntries {
			return inventory.Invalid("the image has more than %d files", 16*maxEntries)
		}
		if err := visit(e); err != nil {
			return err
		}
		if e.Info.IsDir() {
			if err := f.walk(e.Path, depth+1, count, visit); err != nil {
				return err
			}
		}
	}
	return nil
}
