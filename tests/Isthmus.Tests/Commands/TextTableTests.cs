using Isthmus.Output;
using Xunit;

namespace Isthmus.Tests.Commands;

public sealed class TextTableTests
{
    private static readonly string[] Header = ["NAME", "STATUS", "MESSAGE"];
    private static readonly string[][] Rows = [["cluster1", "synced", ""], ["cluster2", "failed", "connection to 172.18.202.1 refused"]];

    [Fact]
    public void A_pipe_gets_each_row_in_one_line_and_nothing_shortened() => Assert.Equal("""
        NAME         STATUS     MESSAGE
        cluster1     synced
        cluster2     failed     connection to 172.18.202.1 refused

        """, Write(int.MaxValue, mayCut: 2));

    [Fact]
    public void Columns_move_together_before_a_row_breaks() => Assert.Equal("""
        NAME      STATUS  MESSAGE
        cluster1  synced
        cluster2  failed  connection to 172.18.202.1 refused

        """, Write(53));

    [Fact]
    public void Rows_break_between_columns_and_not_within_words() => Assert.Equal("""
        NAME      STATUS
            MESSAGE
        cluster1  synced
        cluster2  failed
            connection to 172.18.202.1 refused

        """, Write(51));

    [Fact]
    public void A_column_that_may_be_cut_is_cut_to_the_width()
    {
        using var output = new StringWriter();
        TextTable.Write(output, 60, Header, [["cluster1", "ok", "gateway of cluster2 172.18.202.1, SNI outbound_.5000_.v1"]], mayCut: 2);
        Assert.Equal("""
            NAME      STATUS  MESSAGE
            cluster1  ok      gateway of cluster2 172.18.202.1, SNI out…

            """, output.ToString());
        Assert.All(output.ToString().Split('\n'), line => Assert.True(line.Length <= 60));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(3)]
    [InlineData(1)]
    public void A_tiny_terminal_gets_everything_that_may_not_be_cut(int terminal)
    {
        var text = Write(terminal);
        foreach (var cell in Rows.SelectMany(row => row)) Assert.Contains(cell, text);
    }

    private static string Write(int terminal, int? mayCut = null)
    {
        using var output = new StringWriter();
        TextTable.Write(output, terminal, Header, Rows, mayCut);
        return output.ToString();
    }
}
