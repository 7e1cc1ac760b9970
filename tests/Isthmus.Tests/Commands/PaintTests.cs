using Isthmus.Options;
using Isthmus.Output;
using Xunit;

namespace Isthmus.Tests.Commands;

public sealed class PaintTests
{
    [Fact]
    public void Only_marks_at_the_beginning_of_lines_are_colored() => Assert.Equal(
        "a → b\n\n\e[32m✔\e[0m name   ok! ✔ here\n  └─ 50 %: way\n  │  \e[1;31m✘\e[0m TLS   fails\n     \e[33m!\e[0m port\n\e[33m?\e[0m other\n!no mark\n✔",
        Paint.Marks("a → b\n\n✔ name   ok! ✔ here\n  └─ 50 %: way\n  │  ✘ TLS   fails\n     ! port\n? other\n!no mark\n✔"));

    [Fact]
    public void A_text_without_marks_stays_as_it_is() => Assert.Equal("\n one\n\n", Paint.Marks("\n one\n\n"));

    [Fact]
    public void Colors_take_no_room_in_a_table()
    {
        using var output = new StringWriter();
        TextTable.Write(output, 19, ["NAME", "RESULT"], [["cluster1", "ok"], ["c2", "ISM1001"]],
            paint: (column, cell) => column == 1 ? Paint.Passed(cell) : cell);
        Assert.Equal("NAME      RESULT\ncluster1  \e[32mok\e[0m\nc2        \e[32mISM1001\e[0m\n", output.ToString());
    }

    [Theory]
    [InlineData("verify", false)]
    [InlineData("verify --color", true)]
    [InlineData("verify --color=false", false)]
    public void A_pipe_gets_colors_only_when_they_are_wanted(string typed, bool expected)
    {
        var color = new ColorOption("the results");
        var command = new System.CommandLine.RootCommand { new System.CommandLine.Command("verify") { color.Option } };
        Assert.True(Console.IsOutputRedirected);
        Assert.Equal(expected, color.Of(command.Parse(typed)));
    }
}
