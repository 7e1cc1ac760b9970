namespace Isthmus.Core.Flags;

/// <summary>What a command line says: the values of the flags that it gives, and its other arguments.</summary>
public sealed class FlagValues
{
    private readonly string _program;
    private readonly Dictionary<Flag, object?> _values;

    internal FlagValues(string program, Dictionary<Flag, object?> values, IReadOnlyList<string> words) => (_program, _values, Words) = (program, values, words);

    /// <summary>The arguments that are not flags or their values.</summary>
    public IReadOnlyList<string> Words { get; }

    /// <summary>The last value given, or the flag's default.</summary>
    public T Get<T>(Flag<T> flag) => Get(flag, flag.Default);

    public T Get<T>(Flag<T> flag, T otherwise) => _values.TryGetValue(flag, out var value) ? (T)value! : otherwise;

    /// <exception cref="WrongUseException">The flag is missing or empty.</exception>
    public T Required<T>(Flag<T> flag) =>
        _values.TryGetValue(flag, out var value) && value is not "" ? (T)value! : throw new WrongUseException(_program, $"{flag.Usage} is required");
}
