using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Injection.Templates;
using Isthmus.Kubernetes.Yaml;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Injection;

public sealed class GoTemplateTests
{
    private const string Data = """
        ObjectMeta: {name: web, labels: {app: shop}, annotations: {a/b: c, num: "7"}}
        Spec: {hostNetwork: false, containers: [{name: web, ports: [{containerPort: 80}]}, {name: log}]}
        Values: {global: {hub: example.com, count: 3, enabled: true, none: null, list: [x, z], map: {b: 2, a: 1}}}
        """;

    [Theory]
    [InlineData("a {{ .Values.global.hub }} b", "a example.com b")]
    [InlineData("x  {{- .Values.global.count -}}  \n y", "x3y")]
    [InlineData("{{/* a comment */}}x{{- /* another */ -}} y", "xy")]
    [InlineData("{{ if .Values.global.enabled }}yes{{ else }}no{{ end }}", "yes")]
    [InlineData("{{ if .Values.global.none }}1{{ else if eq .Values.global.count 3 }}2{{ else }}3{{ end }}", "2")]
    [InlineData("{{ range .Spec.Containers }}{{ .Name }},{{ end }}", "web,log,")]
    [InlineData("{{ range $i, $c := .Spec.Containers }}{{ if $i }};{{ end }}{{ $i }}={{ $c.Name }}{{ end }}", "0=web;1=log")]
    [InlineData("{{ range $k, $v := .Values.global.map }}{{ $k }}{{ $v }}{{ end }}", "a1b2")]
    [InlineData("{{ range .Spec.InitContainers }}x{{ else }}none{{ end }}", "none")]
    [InlineData("{{ range 3 }}{{ . }}{{ end }}", "012")]
    [InlineData("{{ range .Values.global.list }}{{ if eq . \"z\" }}{{ break }}{{ end }}{{ . }}{{ end }}", "x")]
    [InlineData("{{ range .Values.global.list }}{{ if eq . \"x\" }}{{ continue }}{{ end }}{{ . }}{{ end }}", "z")]
    [InlineData("{{ with .Values.global.hub }}[{{ . }}]{{ end }}{{ with .Values.global.none }}x{{ else }}-{{ end }}", "[example.com]-")]
    [InlineData("{{ $x := 1 }}{{ range .Values.global.list }}{{ $x = add $x 1 }}{{ end }}{{ $x }}", "3")]
    [InlineData("{{ $c := list }}{{ range .Spec.Containers }}{{ $c = append $c .Name }}{{ end }}{{ join \",\" $c }}", "web,log")]
    [InlineData("{{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" .Values.global.hub }}{{ template \"t\" \"b\" }}", "<example.com><b>")]
    [InlineData("{{ $.ObjectMeta.Name }}{{ (index .Spec.Containers 0).Name }}", "webweb")]
    [InlineData("{{ index .ObjectMeta.Labels `app` | default \"none\" | quote }}", "\"shop\"")]
    [InlineData("{{ index .ObjectMeta.Labels `gone` | default \"none\" | quote }}", "\"none\"")]
    [InlineData("{{ annotation .ObjectMeta `a/b` `x` }}{{ annotation .ObjectMeta `gone` 5 }}", "c5")]
    [InlineData("{{ isset .ObjectMeta.Annotations `num` }}{{ valueOrDefault .Spec.ServiceAccountName `default` }}", "truedefault")]
    [InlineData("{{ eq .Spec.ServiceAccountName \"\" }}{{ not .Spec.HostNetwork }}", "truetrue")]
    [InlineData("{{ and true .Values.global.hub }}{{ or \"\" 0 `b` }}{{ and false (index .Values.global.list 9) }}", "example.combfalse")]
    [InlineData("{{ toYaml .Values.global.list | indent 2 }}", "- x\n  - z\n  ")]
    [InlineData("{{ toJson .ObjectMeta.Labels }}", "{\"app\":\"shop\"}")]
    [InlineData("{{ printf \"%s-%d %q %t%%\" .ObjectMeta.Name 3 `a\"b` true }}", "web-3 \"a\\\"b\" true%")]
    [InlineData("{{ trunc 3 \"abcdef\" }}{{ \"-a-\" | trimAll \"-\" }}{{ trimSuffix \"f\" \"def\" }}{{ ternary 1 2 false }}", "abcade2")]
    [InlineData("{{ len .Spec.Containers }}{{ ge 2 1 }}{{ lt \"a\" \"b\" }}{{ contains \"b\" \"abc\" }}", "2truetruetrue")]
    [InlineData("{{ .ProxyConfig.HoldApplicationUntilProxyStarts.GetValue }}|", "|")]
    public void Templates_render_as_in_Go(string template, string expected) => Assert.Equal(expected, Render(template));

    [Theory]
    [InlineData("a\n{{ .x", "t:2: an action has no '}}'")]
    [InlineData("{{ if true }}x", "t:1: '{{if}}' has no '{{end}}'")]
    [InlineData("x{{ end }}", "unexpected '{{end}}'")]
    [InlineData("{{ $x }}", "undefined variable $x")]
    [InlineData("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "undefined variable $x")]
    [InlineData("{{ env \"PATH\" \"\" }}", "function \"env\" is not supported")]
    [InlineData("{{ template \"gone\" }}", "template \"gone\" is not defined")]
    [InlineData("{{ break }}", "'break' is outside of a range")]
    [InlineData("{{ .Values.nothing.below }}", "there is no value that could have the field 'below'")]
    [InlineData("{{ index .Values.global.list 9 }}", "index 9 is out of range")]
    [InlineData("{{ eq .Values.global.hub 3 }}", "are not of the same type")]
    [InlineData("{{ required \"set the hub\" .Values.global.none }}", "set the hub")]
    [InlineData("{{ trunc }}", "it has 0 arguments (expected 2)")]
    [InlineData("{{ range 9 }}{{ range 99999 }}{{ end }}{{ end }}", "it takes more than")]
    [InlineData("{{ range 99999 }}{{ end }}{{ range 99 }}{{ range 2000 }}x{{ end }}{{ end }}", "it takes more than")]
    [InlineData("{{ range 90000 }}{{ $.Values.global.long }}{{ end }}", "it makes more than")]
    [InlineData("{{ repeat 99999999 \"ab\" }}", "the text would have more than")]
    [InlineData("{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}", "templates call each other deeper than")]
    [InlineData("{{ printf \"%5x\" 1 }}", "the verb '%5' is not supported")]
    [InlineData("{{ \u001b }}", "unexpected character '\\u001b'")]
    public void What_cannot_run_says_where_and_why(string template, string expected) =>
        Assert.Contains(expected, Assert.Throws<ProblemException>(() => Render(template)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("(")]
    [InlineData("{{ if true }}")]
    public void Deep_nesting_is_refused(string part) =>
        Assert.Contains("nested deeper",
            Assert.Throws<ProblemException>(() => Render(part == "("
                ? "{{ " + new string('(', 5000) + " }}"
                : string.Concat(Enumerable.Repeat(part, 5000)))).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Random_texts_end_with_a_result_or_a_problem()
    {
        string[] parts = ["{{", "}}", "-", " ", "if", "else", "end", "range", "$x", ":=", "|", "(", ")", ".A", ".", "\"", "`", "define", "template", "\"t\"",
            "7", "eq", "quote", "/*", "*/", "\n", "x"];
        var random = new Random(7);
        for (var i = 0; i < 20_000; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(1, 14)).Select(_ => parts[random.Next(parts.Length)]));
            try { Render(text); }
            catch (ProblemException e) { Assert.StartsWith("template t:", e.Message, StringComparison.Ordinal); }
        }
    }

    private static string Render(string template)
    {
        var data = (JsonObject)YamlText.Parse(Data, "data")!;
        data["Values"]!["global"]!["long"] = new string('x', 100);
        return GoTemplate.Parse("t", template).Render(data);
    }
}
