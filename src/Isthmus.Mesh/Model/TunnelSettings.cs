namespace Isthmus.Mesh.Model;

/// <summary>What is set for the whole mesh about HBONE: connections in tunnels, which are HTTP/2 CONNECT requests over mutual TLS.</summary>
/// <param name="Sends">Proxies open tunnels to workloads that accept them.</param>
/// <param name="Prefers">Also to those that accept mesh TLS.</param>
/// <param name="Listens">Sidecars that ask for it (ENABLE_HBONE in their metadata) accept tunnels.</param>
public sealed record TunnelSettings(bool Sends, bool Prefers, bool Listens)
{
    public static readonly TunnelSettings Default = new(Sends: false, Prefers: false, Listens: true);
}
