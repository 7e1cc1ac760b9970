using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Commands;

public sealed class CommandsPageTests
{
    [Fact]
    public void The_page_has_every_command_and_option() => Golden.VerifyFile(CommandsPage.Print(), Repository.At("docs/reference/commands.md"));

    [Fact]
    public void Every_command_and_option_says_what_it_does()
    {
        var silent =
            from line in CommandsPage.Print().Split('\n')
            where line.EndsWith("` |  |", StringComparison.Ordinal)
            select line;
        Assert.Empty(silent);
    }
}
