// Renders the charts as Helm does: Go's text/template, the functions of sprig, and those that Helm adds (pkg/engine).
//
// Standard input: [{"chart": FOLDER, "name": RELEASE, "namespace": NAMESPACE, "values": {…}}, …]
// Standard output: [{"files": {PATH: TEXT, …}, "error": TEXT}, …]
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"github.com/ghodss/yaml"
)

type release struct {
	Chart     string                 `json:"chart"`
	Name      string                 `json:"name"`
	Namespace string                 `json:"namespace"`
	Values    map[string]interface{} `json:"values"`
	Upgrade bool `json:"upgrade"`
}

type result struct {
	Files map[string]string `json:"files"`
	Error string            `json:"error"`
}

// files is .Files: what is in the chart beside its templates.
type files map[string]string

func (f files) Get(name string) string { return f[name] }

func main() {
	var releases []release
	check(json.NewDecoder(os.Stdin).Decode(&releases))
	results := []result{}
	for _, one := range releases {
		made, err := render(one)
		if err != nil {
			results = append(results, result{Error: err.Error()})
		} else {
			results = append(results, result{Files: made})
		}
	}
	check(json.NewEncoder(os.Stdout).Encode(results))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render(one release) (map[string]string, error) {
	all := files{}
	err := filepath.WalkDir(one.Chart, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(one.Chart, path)
		all[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		return nil, err
	}
	chart, values := map[string]interface{}{}, map[string]interface{}{}
	if err := yaml.Unmarshal([]byte(all["Chart.yaml"]), &chart); err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal([]byte(all["values.yaml"]), &values); err != nil {
		return nil, err
	}
	named := map[string]interface{}{}
	for key, value := range chart {
		named[strings.ToUpper(key[:1])+key[1:]] = value
	}
	coalesce(values, one.Values)
	data := map[string]interface{}{
		"Values":       values,
		"Chart":        named,
		"Files":        all,
		"Capabilities": map[string]interface{}{"KubeVersion": map[string]interface{}{"Version": "v1.30.0", "Major": "1", "Minor": "30"}},
		"Release": map[string]interface{}{
			"Name": one.Name, "Namespace": one.Namespace, "Service": "Helm", "IsInstall": !one.Upgrade, "IsUpgrade": one.Upgrade, "Revision": 1,
		},
	}
	set := template.New("gotpl").Option("missingkey=zero")
	set.Funcs(functions(set))
	base := chart["name"].(string)
	for name, text := range all {
		if strings.HasPrefix(name, "templates/") {
			if _, err := set.New(base + "/" + name).Parse(text); err != nil {
				return nil, err
			}
		}
	}
	made := map[string]string{}
	names := []string{}
	for name := range all {
		names = append(names, name)
	}
	sort.Sort(sort.Reverse(sort.StringSlice(names)))
	for _, name := range names {
		if !strings.HasPrefix(name, "templates/") || strings.HasPrefix(filepath.Base(name), "_") {
			continue
		}
		data["Template"] = map[string]interface{}{"Name": base + "/" + name, "BasePath": base + "/templates"}
		var text bytes.Buffer
		if err := set.ExecuteTemplate(&text, base+"/"+name, data); err != nil {
			return nil, err
		}
		made[name] = strings.ReplaceAll(text.String(), "<no value>", "")
	}
	return made, nil
}

// coalesce lays values over the defaults of a chart: maps merge, null removes a default, everything else is replaced.
func coalesce(target, values map[string]interface{}) {
	for key, value := range values {
		inner, isMap := value.(map[string]interface{})
		known, both := target[key].(map[string]interface{})
		switch {
		case value == nil:
			delete(target, key)
		case isMap && both:
			coalesce(known, inner)
		default:
			target[key] = value
		}
	}
}

func functions(set *template.Template) template.FuncMap {
	all := sprig.TxtFuncMap()
	delete(all, "env")
	delete(all, "expandenv")
	all["include"] = func(name string, data interface{}) (string, error) {
		var text strings.Builder
		err := set.ExecuteTemplate(&text, name, data)
		return text.String(), err
	}
	all["tpl"] = func(text string, data interface{}) (string, error) {
		clone, err := set.Clone()
		if err != nil {
			return "", err
		}
		parsed, err := clone.New("tpl").Parse(text)
		if err != nil {
			return "", err
		}
		var made strings.Builder
		err = parsed.Execute(&made, data)
		return made.String(), err
	}
	all["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return value, errors.New(message)
		}
		return value, nil
	}
	all["fail"] = func(message string) (string, error) { return "", errors.New(message) }
	all["lookup"] = func(string, string, string, string) (map[string]interface{}, error) { return map[string]interface{}{}, nil }
	all["toYaml"] = func(value interface{}) string {
		text, err := yaml.Marshal(value)
		if err != nil {
			return ""
		}
		return strings.TrimSuffix(string(text), "\n")
	}
	all["fromYaml"] = func(text string) map[string]interface{} {
		value := map[string]interface{}{}
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			value["Error"] = err.Error()
		}
		return value
	}
	all["fromYamlArray"] = func(text string) []interface{} {
		value := []interface{}{}
		if err := yaml.Unmarshal([]byte(text), &value); err != nil {
			value = []interface{}{err.Error()}
		}
		return value
	}
	all["toJson"] = func(value interface{}) string {
		text, err := json.Marshal(value)
		if err != nil {
			return ""
		}
		return string(text)
	}
	all["fromJson"] = func(text string) map[string]interface{} {
		value := map[string]interface{}{}
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			value["Error"] = err.Error()
		}
		return value
	}
	all["fromJsonArray"] = func(text string) []interface{} {
		value := []interface{}{}
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			value = []interface{}{err.Error()}
		}
		return value
	}
	return all
}
