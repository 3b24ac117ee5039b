package images

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"slices"
	"text/template"

	"ingot/inventory"
)

// ovfEnvelope is the OVF of an image (DMTF DSP0243 1.1; the vmw parts as ovftool writes
// them). vmx-13 is what ESXi 6.5 and later take; the disk hangs on an LSI Logic SCSI
// controller, which every guest has a driver for.
var ovfEnvelope = template.Must(template.New("ovf").Funcs(template.FuncMap{"xml": escapeXML}).Parse(`<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <References>
    <File ovf:id="file1" ovf:href="{{xml .DiskName}}" ovf:size="{{.DiskBytes}}"/>
  </References>
  <DiskSection>
    <Info>The virtual disk</Info>
    <Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="{{.CapacityBytes}}" ovf:capacityAllocationUnits="byte" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>The networks</Info>
    <Network ovf:name="VM Network">
      <Description>The network of the first NIC</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="{{xml .Name}}">
    <Info>{{xml .Name}} {{xml .Version}} {{.Digest}}</Info>
    <Name>{{xml .Name}}</Name>
    <OperatingSystemSection ovf:id="{{.OS}}" vmw:osType="{{.Guest}}">
      <Info>The operating system</Info>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>The virtual hardware</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{{xml .Name}}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-13</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits>
        <rasd:Description>Number of virtual CPUs</rasd:Description>
        <rasd:ElementName>2 virtual CPUs</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>2</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:Description>Memory size</rasd:Description>
        <rasd:ElementName>2048 MB of memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>2048</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:Description>SCSI controller</rasd:Description>
        <rasd:ElementName>SCSI controller 0</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>lsilogic</rasd:ResourceSubType>
        <rasd:ResourceType>6</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:ElementName>Hard disk 1</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>7</rasd:AddressOnParent>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>VM Network</rasd:Connection>
        <rasd:Description>VmxNet3 ethernet adapter</rasd:Description>
        <rasd:ElementName>Network adapter 1</rasd:ElementName>
        <rasd:InstanceID>5</rasd:InstanceID>
        <rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="{{.Firmware}}"/>
{{- if .SecureBoot}}
      <vmw:Config ovf:required="false" vmw:key="bootOptions.efiSecureBootEnabled" vmw:value="true"/>
{{- end}}
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
`))

func escapeXML(s string) (string, error) {
	var b bytes.Buffer
	err := xml.EscapeText(&b, []byte(s))
	return b.String(), err
}

// ovfValues fill the envelope.
type ovfValues struct {
	inventory.Image
	DiskName                 string
	DiskBytes, CapacityBytes int64
	// OS is the CIM number of the operating system, Guest VMware's name for it.
	OS       int
	Guest    string
	Firmware string
	// SecureBoot says that the firmware asks for signed loaders.
	SecureBoot bool
}

func ovfOf(image inventory.Image, d Derived) ([]byte, error) {
	v := ovfValues{Image: image, DiskName: image.Name + "-disk1.vmdk", DiskBytes: d.SizeBytes, CapacityBytes: image.SizeBytes,
		OS: 101, Guest: "otherLinux64Guest", Firmware: "bios", SecureBoot: slices.Contains(image.BootModes, "secureboot")}
	if len(image.Name) >= 6 && image.Name[:6] == "debian" {
		v.OS, v.Guest = 96, "debian10_64Guest"
	}
	if v.SecureBoot || slices.Contains(image.BootModes, "uefi") {
		v.Firmware = "efi"
	}
	var b bytes.Buffer
	if err := ovfEnvelope.Execute(&b, v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// maxUSTAR is the largest member of a ustar archive.
const maxUSTAR = 8<<30 - 1

// exportOVA writes an OVA: a tar of the .ovf, the .mf with SHA-256 sums, and the disk, in
// this order, which vCenter wants.
func (s *Store) exportOVA(ctx context.Context, digest string, f *os.File, o ExportOptions) error {
	d, err := s.Derive(ctx, digest, FormatVMDK)
	if err != nil {
		return err
	}
	m, err := parse("export image", digest)
	if err != nil {
		return err
	}
	image, err := readImage(s.blob(m))
	if err != nil {
		return err
	}
	ovf, err := ovfOf(image, d)
	if err != nil {
		return err
	}
	base := image.Name
	manifest := fmt.Appendf(nil, "SHA256(%s.ovf)= %x\nSHA256(%s-disk1.vmdk)= %s\n", base, sha256.Sum256(ovf), base, d.SHA256)
	w := tar.NewWriter(f)
	add := func(name string, size int64) error {
		h := &tar.Header{Name: name, Size: size, Mode: 0o644, ModTime: image.Created, Format: tar.FormatUSTAR}
		if size > maxUSTAR {
			h.Format = tar.FormatGNU
		}
		return w.WriteHeader(h)
	}
	for _, member := range []struct {
		name string
		text []byte
	}{{base + ".ovf", ovf}, {base + ".mf", manifest}} {
		if err := add(member.name, int64(len(member.text))); err != nil {
			return err
		}
		if _, err := w.Write(member.text); err != nil {
			return err
		}
	}
	if err := add(base+"-disk1.vmdk", d.SizeBytes); err != nil {
		return err
	}
	return errors.Join(copyDerived(ctx, w, d, o), w.Close())
}
