using System.Text;
using Isthmus.Lab.Nodes.Logs;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

public sealed class LogReaderTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("log-").FullName;

    private string File1 => Path.Combine(_directory, "0.log");

    [Fact]
    public async Task Tail_counts_lines_and_joins_the_parts_of_long_ones()
    {
        using (var log = new LogFile(File1, TimeProvider.System))
        {
            for (var i = 0; i < 5; i++) log.WriteLine(Encoding.UTF8.GetBytes($"line {i}"), isError: i % 2 == 1, isPart: false);
            log.WriteLine("long "u8, false, isPart: true);
            log.WriteLine("end"u8, false, isPart: false);
            log.Flush();
        }
        Assert.Equal("line 4\nlong end\n", await ReadAsync(new(false, 2, null, false, null)));
        Assert.Equal("", await ReadAsync(new(false, 0, null, false, null)));
        Assert.StartsWith("line 0\nline 1\n", await ReadAsync(new(false, null, null, false, null)), StringComparison.Ordinal);
        Assert.Equal("line ", await ReadAsync(new(false, null, null, false, 5)));
        Assert.Matches(@"^20\d\d-\d\d-\d\dT[\d:.]+Z line 4$", (await ReadAsync(new(false, 2, null, true, null))).Split('\n')[0]);
    }

    [Fact]
    public async Task A_follower_sees_lines_as_they_are_written_across_a_rotation_until_the_end()
    {
        var log = new LogFile(File1, TimeProvider.System);
        log.WriteLine("first"u8, false, false);
        log.Flush();
        using var seen = new MemoryStream();
        var following = LogReader.CopyAsync(File1, log, new(true, null, null, false, null), seen, TestContext.Current.CancellationToken);
        var big = new byte[LogLine.LongestPart];
        big.AsSpan().Fill((byte)'x');
        for (var i = 0; i < 11 * 1024 / 16; i++)
        {
            log.WriteLine(big, false, false);
            log.Flush();
        }
        log.WriteLine("last"u8, false, false);
        log.Flush();
        log.Dispose();
        await following;
        var text = Encoding.UTF8.GetString(seen.ToArray());
        Assert.StartsWith("first\n", text, StringComparison.Ordinal);
        Assert.EndsWith("last\n", text, StringComparison.Ordinal);
        Assert.Equal(11 * 1024 / 16 + 2, text.Count(letter => letter == '\n'));
        Assert.True(File.Exists(File1 + ".1"));
        Assert.EndsWith("last\n", await ReadAsync(new(false, 3, null, false, null)), StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private async Task<string> ReadAsync(LogQuery query)
    {
        using var to = new MemoryStream();
        await LogReader.CopyAsync(File1, null, query, to, TestContext.Current.CancellationToken);
        return Encoding.UTF8.GetString(to.ToArray());
    }
}
