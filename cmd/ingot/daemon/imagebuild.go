package daemon

import (
	"context"
	"io"
	"strings"

	"ingot/images/build"
	"ingot/images/publish"
	"ingot/inventory"
	"ingot/inventory/api"
)

// Build implements rest.Images.
func (w *imageWork) Build(ctx context.Context, in api.ImageBuild, progress func(api.WorkLine)) (inventory.Image, error) {
	recipe, err := recipeOf(in)
	if err != nil {
		return inventory.Image{}, err
	}
	o := publish.Order{Recipe: recipe, Channel: channelOf(in.Channel), Version: w.version(), Force: in.Force, Untested: in.Untested, Why: "built"}
	r, err := w.publish.Build(ctx, o, io.Discard, publicationStep(progress))
	if mirrored := w.mirror(ctx); mirrored != nil {
		return r.Image, mirrored
	}
	if err == nil && r.Unchanged {
		progress(api.WorkLine{Step: "unchanged", Unchanged: true})
	}
	return r.Image, err
}

// recipeOf is the recipe's text, a file of the server's, or a built-in one.
func recipeOf(in api.ImageBuild) (build.Recipe, error) {
	switch {
	case in.Text != "":
		return build.Parse(in.Recipe, []byte(in.Text), build.ParseOptions{Set: in.Set})
	case strings.ContainsAny(in.Recipe, "/"):
		return build.LoadRecipe(in.Recipe, in.Set)
	}
	if strings.HasSuffix(in.Recipe, ".yaml") || strings.HasSuffix(in.Recipe, ".yml") {
		return build.Recipe{}, inventory.Invalid("recipe %q (the server needs a file with its folder, like /etc/ingot/%s, or a built-in name like debian-12)", in.Recipe, in.Recipe)
	}
	return build.EmbeddedRecipeWith(in.Recipe, in.Set)
}

// Recipes are the names of the built-in recipes.
func Recipes() []string { return build.Recipes() }

// RecipeText reads a recipe with all that it names beside it into one text.
func RecipeText(file string, set map[string]string) (string, error) {
	r, err := build.LoadRecipe(file, set)
	if err != nil {
		return "", err
	}
	text, err := r.Document()
	return string(text), err
}
