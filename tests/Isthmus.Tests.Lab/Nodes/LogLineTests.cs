using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Lab.Nodes.Logs;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Lab.Nodes;

public sealed class LogLineTests
{
    [Fact]
    public void What_is_written_is_read_again() =>
        Prop.ForAll<NonNull<string>, bool, bool>((text, isError, isPart) =>
        {
            var time = new DateTimeOffset(2026, 11, 20, 9, 30, 1, TimeSpan.Zero).AddTicks(1234567);
            var content = Encoding.UTF8.GetBytes(text.Get.Replace("\n", ""));
            byte[] line = [.. LogLine.Prefix(time, isError, isPart), .. content];
            return LogLine.TryParse(line, out var parsed) && parsed.Time == time && parsed.IsError == isError && parsed.IsPart == isPart
                && parsed.TimeText == "2026-11-20T09:30:01.123456700Z" && line.AsSpan(parsed.ContentStart).SequenceEqual(content);
        }).MustHold();

    [Fact]
    public void No_bytes_make_the_parser_throw() =>
        Prop.ForAll<byte[]>(bytes => !LogLine.TryParse(bytes, out var parsed) || parsed.ContentStart <= bytes.Length).MustHold();
}
