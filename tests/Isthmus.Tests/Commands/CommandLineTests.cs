using System.CommandLine;
using Isthmus.Commands;
using Isthmus.Operate.Install;
using Xunit;

namespace Isthmus.Tests.Commands;

/// <summary>What is said to lines as people type them.</summary>
public sealed class CommandLineTests
{
    private static ParseResult Parse(params string[] args) => CommandLine.BuildRoot(args).Parse(args);

    private static string Said(params string[] args)
    {
        using var output = new StringWriter();
        Parse(args).Invoke(new InvocationConfiguration { Output = output });
        return output.ToString();
    }

    [Fact]
    public void The_version_is_printed() => Assert.Equal(BuildVersion.Current, Said("--version").Trim());

    [Theory]
    [InlineData("lab up --clusters x", "Error: --clusters: 'x' is not a whole number\nRun 'isthmus lab up --help' for usage.")]
    [InlineData("mesh template --clusters abc", "Error: --clusters: 'abc' is not a whole number\nRun 'isthmus mesh template --help' for usage.")]
    [InlineData("proxy-confg clusters", "Error: unknown command \"proxy-confg\" (did you mean proxy-config?)\nRun 'isthmus --help' for usage.")]
    [InlineData("tag lst", "Error: unknown command \"tag lst\" (did you mean list?)\nRun 'isthmus tag --help' for usage.")]
    [InlineData("verify --nope", "Error: unknown flag --nope\nRun 'isthmus verify --help' for usage.")]
    public void A_mistake_is_told_in_one_line(string line, string told) => Assert.Equal(told, WrongUseText.Of(Parse(line.Split(' ')), "isthmus"));

    [Fact]
    public void Help_is_found_under_the_name_that_was_typed() =>
        Assert.EndsWith("Run 'kind get --help' for usage.", WrongUseText.Of(KindCommand.BuildRoot().Parse(["get", "clutsers"]), "kind"));

    [Theory]
    [InlineData("lab stop cluster --cluster cluster2")]
    [InlineData("lab stop cluster --name cluster2")]
    [InlineData("lab start apiserver cluster2")]
    [InlineData("lab delete cluster cluster2")]
    [InlineData("lab delete cluster --cluster=cluster2")]
    public void A_cluster_is_named_by_any_option_or_none(string line) => Assert.Empty(Parse(line.Split(' ')).Errors);

    [Fact]
    public void Help_is_another_way_to_ask_for_help()
    {
        Assert.Equal(["lab", "up", "--help"], HelpCommand.Rewrite(["help", "lab", "up"]));
        Assert.Equal(["--help"], HelpCommand.Rewrite(["help"]));
        Assert.Equal(["lab", "help"], HelpCommand.Rewrite(["lab", "help"]));
    }

    [Theory]
    [InlineData("isthmus pro", "profile proxy-config proxy-status")]
    [InlineData("isthmus proxy-config rootca", "rootca-compare")]
    [InlineData("isthmus lab stop clus", "cluster")]
    public void A_shell_is_told_what_may_follow(string typed, string expected)
    {
        string[] asked = [$"[suggest:{typed.Length}]", typed];
        Assert.True(CompletionCommand.IsAsked(asked));
        var begun = typed.Split(' ')[^1];
        Assert.Equal(expected.Split(' '), Said(asked).Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith(begun, StringComparison.Ordinal)).Order());
    }

    [Theory]
    [InlineData("bash")]
    [InlineData("zsh")]
    [InlineData("fish")]
    public void Every_shell_has_a_script_that_asks(string shell) => Assert.Contains("[suggest:", Said("completion", shell));
}
