using System.Globalization;
using System.Security.Cryptography;
using FsCheck;
using FsCheck.Fluent;
using Microsoft.FSharp.Core;

namespace Isthmus.Testing;

/// <summary>
/// Runs the property tests. All tests of a run start from one seed, which a failure prints. To repeat the same cases, set
/// <c>ISTHMUS_FSCHECK_SEED</c> to it (or use <c>./test --seed</c>).
/// </summary>
public static class PropertyCheck
{
    public const string SeedVariable = "ISTHMUS_FSCHECK_SEED";

    public static ulong Seed { get; } = ReadSeed(Environment.GetEnvironmentVariable(SeedVariable));

    /// <summary>Checks the property with this many generated cases. Throws at the first failing case, after shrinking
    /// it.</summary>
    public static void MustHold(this Property property, int cases = 100) => MustHold(property, Seed, cases);

    public static void MustHold(Property property, ulong seed, int cases)
    {
        var replay = FSharpOption<Replay>.Some(new Replay(new Rnd(seed), FSharpOption<int>.None));
        try
        {
            property.Check(Config.QuickThrowOnFailure.WithMaxTest(cases).WithReplay(replay));
        }
        catch (Exception e)
        {
            throw new PropertyFailedException($"{e.Message.TrimEnd()}\nTo repeat these cases: {SeedVariable}={seed}", e);
        }
    }

    public static ulong ReadSeed(string? text) => text is null or ""
        ? BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)))
        : ulong.TryParse(text, CultureInfo.InvariantCulture, out var seed) ? seed
        : throw new FormatException($"{SeedVariable}: '{text}' is not a number from 0 to {ulong.MaxValue}");
}

/// <summary>A property does not hold. The message contains the case, and the seed that reproduces it.</summary>
public sealed class PropertyFailedException(string message, Exception inner) : Exception(message, inner);
