using System.Net;
using System.Net.Sockets;

namespace Isthmus.Lab.ApiServer.Values;

/// <summary>Addresses that mean the same on every node: traffic of others may go only to these.</summary>
internal static class SharedAddress
{
    /// <summary>An address alone: IPv4 with four decimal parts, or IPv6 without zone, brackets and port. Null for other text.</summary>
    public static IPAddress? Parse(string text) =>
        text.AsSpan().IndexOfAny("%[]") < 0 && IPAddress.TryParse(text, out var address)
            && (text.Contains(':', StringComparison.Ordinal) || address.ToString() == text)
            ? address : null;

    /// <summary>Why traffic of others may not go there, in the words of a real API server; null if it may.</summary>
    /// <param name="loopback">Loopback addresses may pass.</param>
    public static string? Problem(IPAddress address, bool loopback)
    {
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        return address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any) ? $"may not be unspecified ({address})"
            : IPAddress.IsLoopback(address) ? loopback ? null : "may not be in the loopback range (127.0.0.0/8, ::1/128)"
            : address.IsIPv6LinkLocal || IsIn(address, 169, 254) ? "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
            : IsIn(address, 224, 0, 0) || (address.IsIPv6Multicast && (address.GetAddressBytes()[1] & 0xF) == 2)
                ? "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
            : null;
    }

    private static bool IsIn(IPAddress address, params ReadOnlySpan<byte> prefix) =>
        address.AddressFamily == AddressFamily.InterNetwork && address.GetAddressBytes().AsSpan().StartsWith(prefix);
}
