using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Output;
using Xunit;

namespace Isthmus.Tests.Commands;

/// <summary>Whatever names and answers of others hold: what commands print can only be read.</summary>
public sealed class VisibleOutputTests
{
    private const string Evil = "a\e[2J\r\b\u009b1m\u202eb\u2028\ud83d\ude00\ufeff";
    private const string Shown = "a\\x1b[2J\\r\\x08\\x9b1m\\u202eb\\u2028\ud83d\ude00\\ufeff";

    [Fact]
    public void Texts_are_written_out_and_lines_stay_lines()
    {
        using var output = new StringWriter(CultureInfo.InvariantCulture) { NewLine = "\n" };
        using var writer = new VisibleWriter(output);
        writer.WriteLine($"one\t{Evil}\ntwo");
        writer.WriteLine("{0}", Evil);
        writer.Write(Evil.AsSpan());
        writer.WriteLine();
        foreach (var c in "\e[0m\n") writer.Write(c);
        writer.Write(['\e', 'x']);
        writer.WriteLine(7);
        writer.Write((string?)null);
        Assert.Equal($"one\t{Shown}\ntwo\n{Shown}\n{Shown}\n\\x1b[0m\n\\x1bx7\n", output.ToString());
    }

    [Fact]
    public void A_cell_of_a_table_is_one_line_of_its_width()
    {
        using var output = new StringWriter(CultureInfo.InvariantCulture) { NewLine = "\n" };
        TextTable.Write(output, int.MaxValue, ["NAME", "AGE"], [["a\nb", "1"], ["abcd", "2"]], paint: (_, cell) => $"<{cell}>");
        Assert.Equal("NAME     AGE\n<a\\nb>     <1>\n<abcd>     <2>\n", output.ToString());
    }

    [Fact]
    public void A_problem_is_one_line() =>
        Assert.Equal($"VirtualService shop/a: spec.a\\nb: {Shown} is wrong (remove \\n)",
            new Problem("IST0106", "VirtualService shop/a", "spec.a\nb", $"{Evil} is wrong", "remove \n").ToString());

    /// <summary>What programs read keeps its value, and needs no other form on its way to a terminal.</summary>
    [Fact]
    public void Json_and_yaml_keep_every_value()
    {
        var tree = new JsonObject
        {
            ["k" + Evil] = Evil + "\nnext line\ttab \"quoted\" \\x1b", ["list"] = new JsonArray(Evil, "plain", "two\nlines", "two\nlines " + Evil)
        };
        var json = Visible.Json(tree.ToJsonString(new JsonSerializerOptions
        {
            WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
            TypeInfoResolver = Isthmus.Kubernetes.Objects.KubeJson.Default
        }));
        var yaml = YamlText.Print(tree);
        foreach (var text in (string[])[json, yaml]) Assert.Equal(text, Visible.Lines(text));
        Assert.True(JsonNode.DeepEquals(tree, JsonNode.Parse(json)));
        Assert.True(JsonNode.DeepEquals(tree, YamlText.Parse(yaml, "test")), yaml);
    }
}
