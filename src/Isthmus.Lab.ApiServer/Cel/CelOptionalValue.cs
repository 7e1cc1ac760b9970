namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>A value that may be missing.</summary>
internal sealed record CelOptionalValue(bool Has, object? Value)
{
    public static readonly CelOptionalValue None = new(false, null);

    public static CelOptionalValue Of(object? value) => new(true, value);
}
