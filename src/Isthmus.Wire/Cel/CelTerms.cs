namespace Isthmus.Wire.Cel;

/// <summary>The types of values. <see cref="Texts"/>: header fields by name.</summary>
public enum CelType { Truth, Whole, Number, Text, Duration, Texts }

/// <summary>A part of an expression whose types fit.</summary>
public abstract record CelTerm(CelType Type);

/// <param name="Value">bool, long, double, string or TimeSpan.</param>
public sealed record CelConstant(CelType Type, object Value) : CelTerm(Type);

/// <summary>Something that is known of a request or connection.</summary>
public sealed record CelAttribute(string Name, CelType Type) : CelTerm(Type);

/// <summary>A header field.</summary>
/// <param name="Key">Its name, in lower case.</param>
public sealed record CelEntry(CelAttribute Of, string Key) : CelTerm(CelType.Text);

/// <summary>Whether an attribute or field has a value.</summary>
public sealed record CelExists(CelTerm Of) : CelTerm(CelType.Truth);

/// <summary>An operator, or a function by its name. Operands of a comparison have the same type.</summary>
public sealed record CelOperation(string Operator, CelType Type, IReadOnlyList<CelTerm> Operands) : CelTerm(Type);
