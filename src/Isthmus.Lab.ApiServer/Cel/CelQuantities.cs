using System.Numerics;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.ApiServer.Cel;

/// <summary>An amount.</summary>
/// <param name="Nanos">In units of 10⁻⁹.</param>
internal sealed record CelQuantity(BigInteger Nanos)
{
    public override string ToString() => Quantity.Canonical($"{Nanos}n") ?? $"{Nanos}n";
}

/// <summary>The functions of amounts.</summary>
internal static class CelQuantities
{
    private static readonly BigInteger One = 1_000_000_000;

    public static readonly CelFunctionSet All = new CelFunctionSet()
        .Add<string>("isQuantity", text => Quantity.Nanos(text) is not null)
        .Add<string>("quantity", text => Quantity.Nanos(text) is { } nanos
            ? new CelQuantity(nanos)
            : throw new CelFailureException("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"))
        .Add<CelQuantity>("sign", quantity => (long)quantity.Nanos.Sign)
        .Add<CelQuantity>("isInteger", quantity => Whole(quantity) is not null)
        .Add<CelQuantity>("asInteger", quantity => Whole(quantity) ?? throw new CelFailureException("cannot convert value to integer"))
        .Add<CelQuantity>("asApproximateFloat", quantity => (double)quantity.Nanos / 1e9)
        .Add("add", 2, arguments => Combined(arguments, BigInteger.Add))
        .Add("sub", 2, arguments => Combined(arguments, BigInteger.Subtract))
        .Add<CelQuantity, CelQuantity>("compareTo", (left, right) => (long)left.Nanos.CompareTo(right.Nanos))
        .Add<CelQuantity, CelQuantity>("isLessThan", (left, right) => left.Nanos < right.Nanos)
        .Add<CelQuantity, CelQuantity>("isGreaterThan", (left, right) => left.Nanos > right.Nanos);

    private static object? Whole(CelQuantity quantity) =>
        quantity.Nanos % One == 0 && quantity.Nanos / One is var whole && whole >= long.MinValue && whole <= long.MaxValue ? (long)whole : null;

    private static CelQuantity Combined(object?[] arguments, Func<BigInteger, BigInteger, BigInteger> with) => arguments switch
    {
        [CelQuantity left, CelQuantity right] => new(with(left.Nanos, right.Nanos)),
        [CelQuantity left, long whole] => new(with(left.Nanos, whole * One)),
        _ => throw CelFailureException.NoOverload(),
    };
}
