/// Where names stand in the RDATA of the types in which they may be compressed: `fixed` bytes, then `names` names, then anything.
///
/// RFC 3597, section 4: a reader has to expand names in these types, a writer may compress them only in those of RFC 1035. In all other
/// types RDATA is opaque and holds no pointers.
struct RDATALayout {
    var fixed: Int
    var names: Int
    /// Whether names are compressed when written, which real peers do for the types of RFC 1035 (spec/pkarr-wire.md, 1.5).
    var isCompressed: Bool
    /// Bytes that follow the names in well-formed data: those of SOA's numbers (RFC 1035, section 3.3.13).
    var trailing = 0

    init?(of type: RecordType) {
        switch type.rawValue {
        case 2, 3, 4, 5, 7, 8, 9, 12: self.init(0, 1, true)  // NS, MD, MF, CNAME, MB, MG, MR, PTR
        case 6: self.init(0, 2, true, trailing: 20)  // SOA
        case 14: self.init(0, 2, true)  // MINFO
        case 15: self.init(2, 1, true)  // MX
        case 17: self.init(0, 2, false)  // RP
        case 18, 21, 36: self.init(2, 1, false)  // AFSDB, RT, KX
        case 23: self.init(0, 1, false)  // NSAP-PTR
        case 26: self.init(2, 2, false)  // PX
        case 33: self.init(6, 1, false)  // SRV
        default: return nil
        }
    }

    private init(_ fixed: Int, _ names: Int, _ isCompressed: Bool, trailing: Int = 0) {
        self.fixed = fixed
        self.names = names
        self.isCompressed = isCompressed
        self.trailing = trailing
    }
}
