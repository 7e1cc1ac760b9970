using System.Globalization;
using Isthmus.Core.Net;

namespace Isthmus.Mesh.Model;

/// <summary>Where a Sidecar's ingress listener leads: to a port of the application, which is dialled at 127.0.0.1, or to a Unix socket.</summary>
/// <param name="Address">As written.</param>
/// <param name="Port">0 for a Unix socket.</param>
public readonly record struct DefaultEndpoint(EndpointAddress Address, int Port)
{
    public static DefaultEndpoint Local(int port) => new(EndpointAddress.Of(Core.Net.Address.LoopbackV4), port);

    /// <summary>Reads <c>127.0.0.1:PORT</c>, <c>0.0.0.0:PORT</c>, <c>[::1]:PORT</c>, <c>[::]:PORT</c> or <c>unix://PATH</c>; null: it is something
    /// else.</summary>
    public static DefaultEndpoint? Parse(string text)
    {
        if (EndpointAddress.Parse(text) is { UnixPath: { } path } socket) return path.Length > 0 ? new(socket, 0) : null;
        var colon = text.LastIndexOf(':');
        return colon > 0 && text[..colon] is "127.0.0.1" or "0.0.0.0" or "[::1]" or "[::]"
            && int.TryParse(text[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is >= 1 and <= 65535
            ? new(EndpointAddress.Parse(text[..colon].Trim('[', ']')), port) : null;
    }

    public override string ToString() => Address.Ip is not { } ip ? Address.ToString() : ip.IsV4 ? $"{ip}:{Port}" : $"[{ip}]:{Port}";
}
