using FsCheck.Fluent;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Architecture;

public sealed class PropertyCheckTests
{
    [Fact]
    public void The_same_seed_brings_the_same_cases_again()
    {
        Assert.Equal(Cases(42), Cases(42));
        Assert.NotEqual(Cases(42), Cases(43));
    }

    [Fact]
    public void A_failure_names_the_case_and_the_seed()
    {
        var failure = Assert.Throws<PropertyFailedException>(() => PropertyCheck.MustHold(Prop.ForAll<int>(number => number < 0), 42, 100));
        Assert.Contains("Falsifiable", failure.Message);
        Assert.EndsWith("ISTHMUS_FSCHECK_SEED=42", failure.Message);
    }

    [Fact]
    public void An_exception_in_a_property_names_the_seed_too()
    {
        var failure = Assert.Throws<PropertyFailedException>(() => PropertyCheck.MustHold(Prop.ForAll<int>(_ => Assert.Fail("no")), 42, 100));
        Assert.EndsWith("ISTHMUS_FSCHECK_SEED=42", failure.Message);
    }

    [Fact]
    public void A_seed_is_a_number_and_without_one_each_run_has_its_own()
    {
        Assert.Equal(7UL, PropertyCheck.ReadSeed("7"));
        Assert.NotEqual(PropertyCheck.ReadSeed(null), PropertyCheck.ReadSeed(""));
        Assert.Equal("ISTHMUS_FSCHECK_SEED: 'x' is not a number from 0 to 18446744073709551615",
            Assert.Throws<FormatException>(() => PropertyCheck.ReadSeed("x")).Message);
    }

    [Fact]
    public void Every_property_is_checked_in_this_way()
    {
        var found =
            from file in Repository.Sources("tests")
            where Path.GetFileNameWithoutExtension(file.Path) is not (nameof(PropertyCheck) or nameof(PropertyCheckTests))
            from line in file.Lines
            where line.Contains("QuickThrowOnFailure", StringComparison.Ordinal) || line.Contains("QuickCheck", StringComparison.Ordinal)
                || line.Contains(".VerboseCheck", StringComparison.Ordinal)
            select $"{file.Path}: {line.Trim()}";
        Assert.Empty(found);
    }

    private static List<int> Cases(ulong seed)
    {
        var seen = new List<int>();
        PropertyCheck.MustHold(Prop.ForAll<int>(number => { seen.Add(number); return true; }), seed, 20);
        return seen;
    }
}
