namespace Isthmus.Testing;

/// <summary>The program of Envoy for tests beside a real one: what the variable ENVOY names, or the one in the PATH.</summary>
public static class RealEnvoy
{
    /// <summary>Why a test is left out.</summary>
    public const string Missing = "no Envoy: set ENVOY to a program of Envoy, or put one into the PATH";

    /// <summary>Null: there is none.</summary>
    public static string? Find() => ForeignProgram.Find("ENVOY", "envoy");
}
