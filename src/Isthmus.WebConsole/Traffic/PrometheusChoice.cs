using Isthmus.Core.Flags;

namespace Isthmus.WebConsole.Traffic;

/// <summary>Where the console reads traffic, as the user says it.</summary>
public sealed record PrometheusChoice
{
    private const string Expected = "give the URL of a Prometheus, its Service as NAMESPACE/NAME[:PORT], or 'none' to ask the proxies";

    /// <summary>The Service <c>prometheus</c> beside each control plane, where there is one.</summary>
    public static readonly PrometheusChoice Found = new();

    /// <summary>The proxies only.</summary>
    public static readonly PrometheusChoice None = new() { IsNone = true };

    public bool IsNone { get; private init; }

    /// <summary>An address that this program connects to; null for a Service, which is reached through API servers.</summary>
    public Uri? Address { get; private init; }

    /// <summary>The namespace of the Service that was named; empty when none was.</summary>
    public string Namespace { get; private init; } = "";

    public string Name { get; private init; } = "";

    /// <summary>0: the first port of the Service.</summary>
    public int Port { get; private init; }

    /// <param name="option">Where the text was written, for messages.</param>
    /// <exception cref="WrongUseException">It is neither a URL nor a Service.</exception>
    public static PrometheusChoice Read(string option, string text)
    {
        if (text.Length == 0) return Found;
        if (text == "none") return None;
        if (text.Contains("://", StringComparison.Ordinal))
        {
            return Uri.TryCreate(text, UriKind.Absolute, out var address) && address is { Scheme: "http" or "https", Query: "", Fragment: "", Host.Length: > 0 }
                ? new() { Address = address }
                : throw new WrongUseException($"{option} {text}", "is not the URL of a Prometheus", "use one such as http://127.0.0.1:9090, without a query");
        }
        if (text.Split('/') is not [var ns, var service] || service.Split(':') is not ([_] or [_, _]) || !IsName(ns) || !IsName(service.Split(':')[0]))
            throw new WrongUseException($"{option} {text}", "is neither a URL nor a Service", Expected);
        var port = 0;
        if (service.Split(':') is [_, var number] && (!int.TryParse(number, out port) || port is < 1 or > 65535))
            throw new WrongUseException($"{option} {text}", $"'{number}' is not a port number", "use a number from 1 to 65535");
        return new() { Namespace = ns, Name = service.Split(':')[0], Port = port };
    }

    private static bool IsName(string text) =>
        text.Length is > 0 and <= 253 && text.All(letter => char.IsAsciiLetterLower(letter) || char.IsAsciiDigit(letter) || letter is '-' or '.');
}
