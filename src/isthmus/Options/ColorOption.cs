using System.CommandLine;
using Isthmus.Output;

namespace Isthmus.Options;

/// <summary><c>--color</c>: whether results are colored.</summary>
internal sealed class ColorOption(string what)
{
    internal Option<bool?> Option { get; } = new("--color") { Description = $"Color {what}; by default, if the output is a terminal" };

    internal bool Of(ParseResult line) => line.GetValue(Option) ?? (Terminal.CanErase && Environment.GetEnvironmentVariable("NO_COLOR") is null or "");
}
