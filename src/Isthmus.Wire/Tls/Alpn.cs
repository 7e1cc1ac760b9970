using System.Net.Security;

namespace Isthmus.Wire.Tls;

/// <summary>The ALPN protocols that the mesh knows (RFC 7301, Istio).</summary>
public static class Alpn
{
    public const string Istio = "istio";
    public const string IstioPeerExchange = "istio-peer-exchange";
    public const string IstioHttp10 = "istio-http/1.0";
    public const string IstioHttp11 = "istio-http/1.1";
    public const string IstioH2 = "istio-h2";
    public const string H2 = "h2";
    public const string Http11 = "http/1.1";
    public const string Http10 = "http/1.0";

    public static SslApplicationProtocol ToProtocol(string name) => new(System.Text.Encoding.Latin1.GetBytes(name));

    /// <summary>The shared string of a frequent name, so that reading a hello does not allocate one.</summary>
    internal static string? Known(ReadOnlySpan<byte> name) =>
        name.SequenceEqual("istio"u8) ? Istio
        : name.SequenceEqual("istio-http/1.1"u8) ? IstioHttp11
        : name.SequenceEqual("h2"u8) ? H2
        : name.SequenceEqual("http/1.1"u8) ? Http11
        : name.SequenceEqual("istio-h2"u8) ? IstioH2
        : name.SequenceEqual("istio-peer-exchange"u8) ? IstioPeerExchange
        : name.SequenceEqual("istio-http/1.0"u8) ? IstioHttp10
        : null;
}
