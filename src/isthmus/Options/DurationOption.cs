using System.CommandLine;

namespace Isthmus.Options;

/// <summary>A flag with a <see cref="Duration"/>.</summary>
internal sealed class DurationOption(string name, string description, string fallback)
{
    internal Option<string> Option { get; } = new Option<string>(name) { Description = description, DefaultValueFactory = _ => fallback }.Checked(value => Duration.Parse(value, name));

    internal TimeSpan Of(ParseResult line) => Duration.Parse(line.GetValue(Option)!, Option.Name);
}
