namespace Isthmus.Mesh.Model.GatewayApi;

/// <summary>Why a Gateway is not deployed as it asks.</summary>
/// <param name="IsRefused">What it asks for is not possible (<c>Accepted</c> is false); otherwise, the cluster did not allow it (<c>Programmed</c> is
/// false).</param>
/// <param name="Reason">As conditions name it.</param>
public sealed record GatewayTrouble(bool IsRefused, string Reason, string Message)
{
    /// <summary>The reason if no address that it asks for can be had.</summary>
    public const string NoAddress = "AddressNotAssigned";
}
