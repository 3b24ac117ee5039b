package build

import "context"

func (b *build) tiny(context.Context) error { panic("todo") }
