using System.CommandLine;

namespace Isthmus.Options;

/// <summary>A flag with a <see cref="Duration"/>.</summary>
internal sealed class DurationOption
{
    internal DurationOption(string name, string description, string fallback, TimeSpan? most = null) =>
        Option = new Option<string>(name)
        {
            Description = description, DefaultValueFactory = _ => fallback
        }.Checked(value => Duration.Parse(value, name, most));

    internal Option<string> Option { get; }

    internal TimeSpan Of(ParseResult line) => Duration.Parse(line.GetValue(Option)!, Option.Name);
}
